/** How many inputs of a function still lack a result, from the call records seen so far. */
import type { CallRecord } from "../store/record-store.ts";

export class OpenCalls {
  readonly #openByCall = new Map<string, number>();
  readonly #deadlines = new Map<string, number>();
  #openCount = 0;

  /** Inputs without a result, over all calls noted. */
  get openCount(): number {
    return this.#openCount;
  }

  /** Calls that still lack a result. */
  get callCount(): number {
    return this.#openByCall.size;
  }

  /** The calls that still lack a result. */
  callIds(): readonly string[] {
    return [...this.#openByCall.keys()];
  }

  /** Calls whose deadline is over although they lack results. O(n) in calls with a deadline. */
  overdueIds(nowMs: number): readonly string[] {
    return [...this.#deadlines]
      .filter(([, deadlineAtMs]) => deadlineAtMs <= nowMs)
      .map(([callId]) => callId);
  }

  /** Takes a call as the store now has it. Records may come in any order: counts only grow. */
  note(call: CallRecord): void {
    const open = call.state === "running" ? call.inputCount - call.finishedCount : 0;
    this.#openCount += open - (this.#openByCall.get(call.callId) ?? 0);
    if (call.state === "running") this.#openByCall.set(call.callId, open);
    else this.#openByCall.delete(call.callId);
    const isDue = call.state === "running" && call.deadlineAtMs !== undefined;
    if (isDue) this.#deadlines.set(call.callId, call.deadlineAtMs);
    else this.#deadlines.delete(call.callId);
  }
}
