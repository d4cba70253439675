/** This process's own terminal, lent to a program that runs elsewhere. */
import type { ReadStream, WriteStream } from "node:tty";
import { UsageError } from "../errors.ts";
import type { TerminalSize } from "../sandbox/terminal-size.ts";

/** A program elsewhere that takes what is typed here. */
export interface RemoteInput {
  write(bytes: Uint8Array): Promise<void>;
  end(): Promise<void>;
  /** For one in a terminal. */
  resize?(size: TerminalSize): Promise<void>;
}

/** Whether this process sits at a terminal. */
export function hasLocalTerminal(): boolean {
  return process.stdin.isTTY && process.stdout.isTTY;
}

/** The size of this terminal. @throws UsageError where there is none */
export function localTerminalSize(): TerminalSize {
  if (!hasLocalTerminal()) {
    throw new UsageError("there is no terminal here: standard input and output must be one");
  }
  return sizeOf(process.stdout);
}

/**
 * Passes standard input on to a program, key by key where it is in a terminal as this process is,
 * and whole to its end otherwise.
 *
 * @param onError Told once of what cannot be passed on; the rest is not tried.
 * @returns Ends that and gives the terminal back as it was.
 */
export function lendInput(
  to: RemoteInput,
  onError: (error: unknown) => void,
  input: ReadStream | NodeJS.ReadStream = process.stdin,
  output: WriteStream | NodeJS.WriteStream = process.stdout,
): () => void {
  const isRaw = to.resize !== undefined && input.isTTY;
  let last: Promise<void> = Promise.resolve();
  const then = (next: () => Promise<void>): void => {
    last = last.then(next);
    last.catch(onError);
  };
  const onData = (chunk: Uint8Array): void => {
    // What comes while a piece is on its way waits in the stream.
    input.pause();
    then(async () => {
      await to.write(chunk);
      input.resume();
    });
  };
  const onEnd = (): void => then(() => to.end());
  const onResize = (): void => then(async () => to.resize?.(sizeOf(output)));
  if (isRaw) input.setRawMode(true);
  input.on("data", onData);
  input.once("end", onEnd);
  if (isRaw) output.on("resize", onResize);
  return () => {
    input.off("data", onData);
    input.off("end", onEnd);
    output.off("resize", onResize);
    if (isRaw) input.setRawMode(false);
    // A pipe that nobody closes would keep this process.
    input.destroy();
  };
}

function sizeOf(output: WriteStream | NodeJS.WriteStream): TerminalSize {
  return { rows: Math.max(1, output.rows), cols: Math.max(1, output.columns) };
}
