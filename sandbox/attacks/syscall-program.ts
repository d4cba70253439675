/**
 * Programs of a few system calls, as Linux runs them: what no language in a container's image can
 * ask for is asked by a file of machine code that a test puts there. For x86-64.
 */

/** A number, or a text or bytes whose address is given. */
export type Argument = number | string | Uint8Array;

/** Number of a system call (x86-64 syscall table) and its arguments, six at most. */
export type Syscall = readonly [number: number, ...args: readonly Argument[]];

const BASE = 0x400000;
const HEADER_BYTES = 64 + 56;
const EXIT_SYSCALL = 60;
/** `mov r64, imm64` of rdi, rsi, rdx, r10, r8 and r9, which carry arguments in this order. */
const MOVES = [
  [0x48, 0xbf],
  [0x48, 0xbe],
  [0x48, 0xba],
  [0x49, 0xba],
  [0x49, 0xb8],
  [0x49, 0xb9],
] as const;
const MOV_RAX = [0x48, 0xb8] as const;
const SYSCALL = [0x0f, 0x05] as const;
/** `neg eax; mov edi, eax`: the error of the last call becomes the exit code. */
const ERROR_TO_EXIT_CODE = [0xf7, 0xd8, 0x89, 0xc7] as const;

/**
 * An ELF file that makes the calls one after the other and exits with the error number of the
 * last one: 0 means that it succeeded with 0.
 */
export function syscallProgram(calls: readonly Syscall[]): Buffer {
  const data = calls.flatMap((call) => call.filter((one) => typeof one !== "number").map(bytesOf));
  const exit: Syscall = [EXIT_SYSCALL];
  const codeAt = (addresses: readonly number[]): Buffer =>
    Buffer.concat([codeOf(calls, addresses), Buffer.from(ERROR_TO_EXIT_CODE), codeOf([exit], [])]);
  const codeBytes = codeAt(data.map(() => 0)).byteLength;
  let at = BASE + HEADER_BYTES + codeBytes;
  const addresses = data.map(({ byteLength }) => {
    at += byteLength;
    return at - byteLength;
  });
  const whole = Buffer.concat([codeAt(addresses), ...data]);
  return Buffer.concat([headerOf(HEADER_BYTES + whole.byteLength), whole]);
}

/** A text ends with NUL. */
function bytesOf(argument: string | Uint8Array): Uint8Array {
  return typeof argument === "string" ? Buffer.from(`${argument}\0`) : argument;
}

function codeOf(calls: readonly Syscall[], addresses: readonly number[]): Buffer {
  let text = 0;
  const parts = calls.flatMap(([number, ...args]) => {
    const moves = args.flatMap((argument, position) => {
      const move = MOVES[position];
      if (move === undefined) throw new RangeError("a system call has six arguments at most");
      if (typeof argument === "number") return [Buffer.from(move), wide(argument)];
      text += 1;
      return [Buffer.from(move), wide(addresses[text - 1] ?? 0)];
    });
    return [...moves, Buffer.from(MOV_RAX), wide(number), Buffer.from(SYSCALL)];
  });
  return Buffer.concat(parts);
}

function wide(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return bytes;
}

/** ELF header and one loadable segment, all of it readable and executable (System V ABI). */
function headerOf(fileBytes: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write("\x7fELF", 0, "latin1");
  header.set([2, 1, 1], 4);
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(62, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(BASE + HEADER_BYTES), 24);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  header.writeUInt32LE(1, 64);
  header.writeUInt32LE(5, 68);
  header.writeBigUInt64LE(BigInt(BASE), 80);
  header.writeBigUInt64LE(BigInt(BASE), 88);
  header.writeBigUInt64LE(BigInt(fileBytes), 96);
  header.writeBigUInt64LE(BigInt(fileBytes), 104);
  header.writeBigUInt64LE(0x1000n, 112);
  return header;
}
