/** What a run found, did and looked like at its end. */
import { createHash } from "node:crypto";

/** One run, whole: fixed by the commit, the world and the seed. */
export interface RunResult {
  readonly world: string;
  readonly seed: number;
  /** Broken promises; empty when all were kept. */
  readonly findings: readonly string[];
  /** SHA-256 of everything that happened, in order. */
  readonly digest: string;
  /** The last events, oldest first. */
  readonly trace: readonly string[];
  /** How often what happened, by name: shows that the faults come to pass. */
  readonly counts: Readonly<Record<string, number>>;
}

const FINDINGS_MAX = 20;
/** Last events kept, unless more are asked for. */
const TRACE_MAX = 80;

/** Takes down a run as it happens. */
export class RunRecord {
  readonly findings: string[] = [];
  readonly #nowMs: () => number;
  readonly #traceMax: number;
  readonly #hash = createHash("sha256");
  readonly #counts = new Map<string, number>();
  readonly #known = new Set<string>();
  #trace: string[] = [];

  constructor(nowMs: () => number, traceMax = TRACE_MAX) {
    this.#nowMs = nowMs;
    this.#traceMax = traceMax;
  }

  /** Something happened. */
  event(text: string): void {
    const line = `${this.#nowMs()} ${text}`;
    this.#hash.update(line).update("\n");
    this.#trace.push(line);
    if (this.#trace.length > 2 * this.#traceMax) {
      this.#trace = this.#trace.slice(-this.#traceMax);
    }
  }

  count(name: string, by = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + by);
  }

  /** A promise was broken; said once for each subject. */
  broken(promise: string, subject: string): void {
    const text = `${promise}: ${subject}`;
    if (this.#known.has(text) || this.findings.length >= FINDINGS_MAX) return;
    this.#known.add(text);
    this.findings.push(text);
    this.event(`BROKEN ${text}`);
  }

  /** The whole run. */
  result(world: string, seed: number): RunResult {
    return {
      world,
      seed,
      findings: this.findings,
      digest: this.#hash.copy().digest("hex"),
      trace: this.#trace.slice(-this.#traceMax),
      counts: Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1))),
    };
  }
}
