/** What is to become of instances that are yet to be launched. */
import { selects, type CapacitySelector } from "../shared/capacity-schedule.ts";
import { userOf } from "./capacity.ts";
import type { DrawnFate, Fate, LaunchSpec } from "./instance.ts";

/** The next `times` (1) instances that match get this fate. */
export interface FateRule extends CapacitySelector {
  readonly fate: Fate;
  /** EC2's code for why it died; `Server.InternalError` when absent. */
  readonly reasonCode?: string;
  readonly times?: number;
}

/** The fates that wait for their instances, oldest first. */
export class Fates {
  #waiting: { readonly rule: FateRule; timesLeft: number }[] = [];

  add(rule: FateRule): void {
    this.#waiting.push({ rule, timesLeft: rule.times ?? 1 });
  }

  /** The fate of an instance that is launched now. */
  draw(spec: LaunchSpec): DrawnFate | undefined {
    const waiting = this.#waiting.find(({ rule }) => selects(rule, userOf(spec)));
    if (waiting === undefined) return undefined;
    waiting.timesLeft -= 1;
    if (waiting.timesLeft <= 0) this.#waiting = this.#waiting.filter((one) => one !== waiting);
    const { fate, reasonCode: code = "Server.InternalError" } = waiting.rule;
    return { fate, reason: { code, message: `${code}: the instance failed to start` } };
  }
}
