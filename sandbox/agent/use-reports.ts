/** What of the use of a node's containers is new to the server. */
import type { ContainerUse } from "./link.ts";
import type { ExtraUse } from "./use-meter.ts";

/** Readings between two reports. */
const REPORT_EVERY_READINGS = 5;

/** What is read of a container. */
export interface MeasuredContainer {
  readonly spec: { readonly containerId: string };
  readonly use: ExtraUse;
  measure(nowMs: number): void;
}

export class UseReports {
  #told: ReadonlyMap<string, string> = new Map();
  #readings = 0;

  /** Reads what containers use, and gives what is to be reported now; mostly nothing. */
  read(containers: Iterable<MeasuredContainer>, nowMs: number): readonly ContainerUse[] {
    const all = [...containers];
    for (const container of all) container.measure(nowMs);
    this.#readings += 1;
    if (this.#readings % REPORT_EVERY_READINGS !== 0) return [];
    const uses = all.map(({ spec, use }) => ({ containerId: spec.containerId, ...use }));
    const before = this.#told;
    this.#told = new Map(uses.map((use) => [use.containerId, textOf(use)]));
    return uses.filter((use) => {
      const isNothing = use.cpuMs === 0 && use.memoryMiBSeconds === 0;
      return !isNothing && before.get(use.containerId) !== textOf(use);
    });
  }

  /** The server may not have heard what it was told: all of it is said again. */
  forget(): void {
    this.#told = new Map();
  }
}

function textOf({ cpuMs, memoryMiBSeconds }: ExtraUse): string {
  return `${cpuMs} ${memoryMiBSeconds}`;
}
