/** Archives for tests, wrong ones too: every field of an entry is written as it is given. */
const BLOCK = 512;

export interface TarSample {
  readonly name: string;
  /** File by default. */
  readonly flag?: string;
  readonly linkName?: string;
  readonly content?: string | Uint8Array;
  /** What the header says, when it lies. */
  readonly byteCount?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly mtimeS?: number;
}

/** The archive of some entries, with its end mark unless it is left out. */
export function tarOf(samples: readonly TarSample[], hasEnd = true): Buffer {
  const end = hasEnd ? [Buffer.alloc(2 * BLOCK)] : [];
  return Buffer.concat([...samples.map(encode), ...end]);
}

/** A PAX header for the entry after it. */
export function paxOf(records: Readonly<Record<string, string | Uint8Array>>): TarSample {
  const lines = Object.entries(records).map(([key, value]) => paxRecord(key, value));
  return { name: "pax", flag: "x", content: Buffer.concat(lines) };
}

/** One record of a PAX header. */
export function paxRecord(key: string, value: string | Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from("\n")]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) {
    length = String(length).length + rest.length;
  }
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

export async function* chunksOf(bytes: Uint8Array, size = 1_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    yield bytes.subarray(at, at + size);
  }
}

function encode(sample: TarSample): Buffer {
  const {
    name,
    flag = "0",
    linkName = "",
    content = "",
    mode = 0o644,
    uid = 0,
    mtimeS = 0,
  } = sample;
  const body = Buffer.from(content);
  const block = Buffer.alloc(BLOCK);
  block.write(name, 0);
  block.write(mode.toString(8).padStart(7, "0"), 100);
  block.write(uid.toString(8).padStart(7, "0"), 108);
  block.write("0000000", 116);
  block.write((sample.byteCount ?? body.length).toString(8).padStart(11, "0"), 124);
  block.write(mtimeS.toString(8).padStart(11, "0"), 136);
  block.write("        ", 148);
  block.write(flag, 156);
  block.write(linkName, 157);
  block.write("ustar\u000000", 257);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return Buffer.concat([block, body, Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK)]);
}
