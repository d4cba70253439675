/**
 * How a program is started in a terminal inside a sandbox. Its text goes to the platform with
 * that of program.ts, under the same rule: nothing from outside but what Node has built in.
 */

import type { TerminalSize } from "./terminal-size.ts";

/** A program of the operating system with its input as a terminal's keys. */
export interface TerminalChild {
  readonly child: import("node:child_process").ChildProcessWithoutNullStreams;
  /** Types keys; resolves when the terminal has them. */
  readonly type: (keys: Uint8Array) => Promise<void>;
  readonly resize: (size: TerminalSize) => void;
  /** Sends a signal to all that runs in the terminal. */
  readonly signal: (name: NodeJS.Signals) => void;
}

/** How the code of program.ts is given `startInTerminal`: it must not refer to other files. */
export type StartInTerminal = typeof startInTerminal;

interface Started {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Starts a program in a terminal, by the native program that is beside the runner.
 *
 * The frames are those of sandbox/runners/guest/guest.c. @throws Error when it cannot be started
 */
export async function startInTerminal(
  command: readonly string[],
  size: TerminalSize,
  { cwd, env }: Started,
): Promise<TerminalChild> {
  const DATA_BYTES_MAX = 65_535;
  const { spawn } = process.getBuiltinModule("node:child_process");
  const path = process.getBuiltinModule("node:path");
  const { constants } = process.getBuiltinModule("node:os");
  const guest = path.join(path.dirname(process.argv[1] ?? ""), "flotilla-guest");
  const sizes = [String(size.rows), String(size.cols)];
  const child = spawn(guest, ["terminal", ...sizes, ...command], {
    cwd,
    env: { TERM: "xterm-256color", ...env },
    stdio: "pipe",
    detached: true,
  });
  let said = "";
  child.stderr.on("data", (chunk: Uint8Array) => (said += Buffer.from(chunk).toString()));
  child.stdin.on("error", () => undefined);
  await new Promise<void>((resolve, reject) => {
    child.once("error", () => {
      const why = "its node's agent found no C compiler (cc), which makes them, or no such folder";
      reject(new Error(`no terminal can be opened in this sandbox: ${why}`));
    });
    // It is closed once the program runs.
    child.stderr.once("close", () => {
      if (said === "") resolve();
      else reject(new Error(said.trim()));
    });
  });
  const frame = (
    kind: string,
    first: number,
    second: number,
    data: Uint8Array = new Uint8Array(0),
  ) => {
    const header = Buffer.alloc(5);
    header.write(kind, 0, "latin1");
    header.writeUInt16LE(first, 1);
    header.writeUInt16LE(second, 3);
    return Buffer.concat([header, data]);
  };
  const send = (bytes: Uint8Array): Promise<void> =>
    new Promise((resolve) => child.stdin.write(bytes, () => resolve()));
  return {
    child,
    type: async (keys) => {
      for (let at = 0; at < keys.byteLength; at += DATA_BYTES_MAX) {
        const piece = keys.subarray(at, at + DATA_BYTES_MAX);
        await send(frame("i", piece.byteLength, 0, piece));
      }
    },
    resize: ({ rows, cols }) => void send(frame("r", rows, cols)),
    signal: (name) => void send(frame("s", constants.signals[name], 0)),
  };
}
