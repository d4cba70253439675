/**
 * What a container uses beyond what is reserved for it: a pure sum over its readings.
 *
 * Between two readings it has used so much of the processor, and its memory counts as the later
 * of them says. Sums never fall, so that of several reports the largest is the newest: one that is
 * lost costs nothing, and one that comes twice counts once.
 */
import type { SandboxUse } from "../runtime/runtime.ts";
import { cpuMaxMilli, memoryMaxMiB, type Sized } from "../runtime/limits.ts";

/** What was used beyond what is reserved, since the container's start; whole numbers. */
export interface ExtraUse {
  /** Core-milliseconds. */
  readonly cpuMs: number;
  readonly memoryMiBSeconds: number;
}

const MILLI = 1_000;

export class UseMeter {
  readonly #sized: Sized;
  #last: { readonly atMs: number; readonly use: SandboxUse } | undefined;
  #cpuMs = 0;
  #memoryMiBMs = 0;

  constructor(sized: Sized) {
    this.#sized = sized;
  }

  get extra(): ExtraUse {
    return {
      cpuMs: Math.floor(this.#cpuMs),
      memoryMiBSeconds: Math.floor(this.#memoryMiBMs / MILLI),
    };
  }

  /** A reading; the first one only says where it begins. */
  note(atMs: number, use: SandboxUse): void {
    const last = this.#last;
    // A clock that was set back, or a counter that began anew, says nothing of what came before.
    this.#last = { atMs, use };
    if (last === undefined || atMs <= last.atMs) return;
    const spanMs = atMs - last.atMs;
    const { cpuMilli, memoryMiB } = this.#sized.resources;
    const cpuMsMax = ((cpuMaxMilli(this.#sized) - cpuMilli) * spanMs) / MILLI;
    const cpuMs = use.cpuMs - last.use.cpuMs - (cpuMilli * spanMs) / MILLI;
    this.#cpuMs += within(cpuMs, cpuMsMax);
    const beyondMiB = within(use.memoryMiB - memoryMiB, memoryMaxMiB(this.#sized) - memoryMiB);
    this.#memoryMiBMs += beyondMiB * spanMs;
  }
}

/** What a container's exit says of it; most have used nothing beyond what is reserved. */
export function saidUse(use: ExtraUse): { readonly use?: ExtraUse } {
  return use.cpuMs === 0 && use.memoryMiBSeconds === 0 ? {} : { use };
}

function within(amount: number, max: number): number {
  return Math.min(max, Math.max(0, amount));
}
