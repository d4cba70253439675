/** Device nodes and FIFOs, which Node cannot make itself. */
import { spawnSync } from "node:child_process";
import { PlatformError } from "../../core/index.ts";

const S_IFMT = 0o170_000;
const LETTERS: Readonly<Record<number, string>> = {
  0o010_000: "p",
  0o020_000: "c",
  0o060_000: "b",
};

/** Makes a special file through `mknod`. @throws PlatformError `unavailable` */
export function makeSpecialFile(path: Buffer, mode: number, device: number): void {
  const letter = LETTERS[mode & S_IFMT] ?? "?";
  const numbers = letter === "p" ? [] : [String(majorOf(device)), String(minorOf(device))];
  // Arguments of a program are text: a path that is no UTF-8 would be another one.
  const text = path.toString("utf8");
  const run = spawnSync("mknod", ["--", text, letter, ...numbers], { encoding: "utf8" });
  if (run.status === 0) return;
  throw new PlatformError(`making the special file ${text} failed: ${run.stderr.trim()}`, {
    code: "unavailable",
    retryable: false,
  });
}

/** As in glibc's `gnu_dev_major` for numbers of 32 bits. */
function majorOf(device: number): number {
  return (device >>> 8) & 0xfff;
}

function minorOf(device: number): number {
  return (device & 0xff) | ((device >>> 12) & 0xfff00);
}
