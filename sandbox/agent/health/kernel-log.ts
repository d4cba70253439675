/**
 * Xid lines: what the driver of the GPUs writes into the kernel's log when one fails.
 *
 * Source of the form and the meanings: NVIDIA's Xid catalog (docs.nvidia.com/deploy/xid-errors,
 * read 2026-11). Xids that a program alone can cause (13, 31, 43, 45) speak against no machine.
 */

/** One report of the driver. */
export interface Xid {
  /** PCI address of the GPU, such as `0000:c6:00`. */
  readonly device: string;
  readonly code: number;
}

/** Codes after which a GPU cannot be trusted until it is reset or replaced. */
const FATAL: ReadonlyMap<number, string> = new Map([
  [46, "it stopped processing"],
  [48, "its memory has an error that cannot be corrected"],
  [62, "its internal controller halted"],
  [64, "its memory could not be repaired"],
  [74, "its link to other GPUs failed"],
  [79, "it has fallen off the bus"],
  [95, "an error of its memory could not be contained"],
  [119, "its system processor does not answer"],
  [120, "its system processor failed"],
  [136, "its links could not be trained"],
  [140, "its memory has errors that cannot be corrected"],
  [143, "it could not be initialised"],
]);

const LINE = /NVRM: Xid \(PCI:([0-9a-f:.]+)\): (\d+)/gi;

/** The reports in a kernel log, oldest first. */
export function parseXids(log: string): readonly Xid[] {
  return [...log.matchAll(LINE)].map(([, device = "", code]) => ({ device, code: Number(code) }));
}

/** What a code says of its GPU; undefined when it says nothing against the machine. */
export function fatalMeaningOf(code: number): string | undefined {
  return FATAL.get(code);
}
