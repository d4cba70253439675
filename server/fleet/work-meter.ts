/**
 * The work of the functions whose containers need rented nodes, as planning takes it, and how
 * much of it had to wait.
 *
 * An input counts as missed when it had no container in time while one of its function had waited
 * for a node for longer than an input may: what waits for want of allowed containers, or for a
 * slow start, is not for machines to mend.
 */
import { MS_PER_SECOND } from "../../core/index.ts";
import type { FunctionWork } from "../../pool/index.ts";
import { ON_TIME_MS } from "../../scheduler/index.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import type { ContainerRecord } from "./container-table.ts";

/** What was seen at one look. */
export interface MeteredWork {
  readonly work: readonly FunctionWork[];
  /** Inputs that came since the last look, and those of them that were missed. */
  readonly started: number;
  readonly missed: number;
}

/** Seconds over which arrivals are averaged. */
const RATE_SECONDS = 10;

export class WorkMeter {
  /** Seconds up to here are counted; only whole ones are. */
  #countedToS: number | undefined;
  /** Inputs of each function that had been on time at the last look. */
  readonly #onTime = new WeakMap<LiveFunction, number>();

  /** @param wanted Containers on rented nodes, and those that wait for one. */
  read(wanted: readonly ContainerRecord[], nowMs: number): MeteredWork {
    const nowS = Math.floor(nowMs / MS_PER_SECOND);
    const freshSeconds = Math.max(0, nowS - (this.#countedToS ?? nowS));
    this.#countedToS = nowS;
    let started = 0;
    let missed = 0;
    const work = [...Map.groupBy(wanted, ({ live }) => live)].map(([live, containers]) => {
      // The last entry is of the second that has just begun.
      const counts = live.arrivals.history(nowMs).perSecond.slice(0, -1);
      const came = sum(counts.slice(Math.max(0, counts.length - freshSeconds)));
      started += came;
      const { onTimeCount } = live.dispatcher;
      const onTime = onTimeCount - (this.#onTime.get(live) ?? 0);
      this.#onTime.set(live, onTimeCount);
      if (containers.some((one) => isOverdue(one, nowMs))) missed += Math.max(0, came - onTime);
      return workOf(live, containers, sum(counts.slice(-RATE_SECONDS)) / RATE_SECONDS);
    });
    return { work, started, missed };
  }
}

function isOverdue({ nodeId, requestedAtMs }: ContainerRecord, nowMs: number): boolean {
  return nodeId === undefined && nowMs - requestedAtMs > ON_TIME_MS;
}

function workOf(
  live: LiveFunction,
  records: readonly ContainerRecord[],
  inputsPerSecond: number,
): FunctionWork {
  const { needs, spec, dispatcher, open } = live;
  const { meanServiceMs: serviceMs } = dispatcher;
  const waiting = records.filter(({ nodeId }) => nodeId === undefined).length;
  const counts = { containers: records.length, waiting };
  if (serviceMs === undefined) return { needs, ...counts };
  const { minContainers, maxContainers, targetConcurrentInputs: concurrency } = spec;
  return {
    needs,
    ...counts,
    load: {
      inputsPerSecond,
      serviceMs,
      backlog: Math.max(0, open.openCount - dispatcher.runningCount),
      concurrency,
      floor: Math.min(maxContainers, minContainers),
      maxContainers,
    },
  };
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
