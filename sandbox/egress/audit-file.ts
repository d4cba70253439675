/** The audit of a node: one line of JSON for each connection of its containers. */
import { appendFileSync, renameSync, statSync } from "node:fs";
import type { Clock } from "../../core/index.ts";
import type { AuditEntry } from "./egress-proxy.ts";

/** A full file is kept once beside the new one. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;

export class AuditFile {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #bytesMax: number;
  #bytes: number | undefined;

  constructor(path: string, clock: Clock, bytesMax = FILE_BYTES_MAX) {
    this.#path = path;
    this.#clock = clock;
    this.#bytesMax = bytesMax;
  }

  /** Appends an entry. @throws what the system says when the file cannot be written */
  write(entry: AuditEntry): void {
    const line = `${JSON.stringify({ atMs: this.#clock.nowMs(), ...entry })}\n`;
    this.#bytes ??= sizeOf(this.#path);
    if (this.#bytes + line.length > this.#bytesMax && this.#bytes > 0) {
      renameSync(this.#path, `${this.#path}.1`);
      this.#bytes = 0;
    }
    appendFileSync(this.#path, line, { mode: 0o600 });
    this.#bytes += line.length;
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    // Nothing was written yet.
    return 0;
  }
}
