/**
 * Users: they submit calls until those are accepted, ask again when no answer came, sometimes in
 * parts, and sometimes cancel. What was accepted is theirs to ask for.
 */
import type { Rng } from "../../core/index.ts";
import type { CallService, Principal } from "../../server/services.ts";
import type { RunRecord } from "./record.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** A call as its user knows it. */
export interface UserCall {
  readonly callId: string;
  readonly functionId: string;
  readonly inputCount: number;
  /** Inputs that the server said it has. */
  acceptedCount: number;
  isCancelled: boolean;
}

export interface UsersOptions {
  readonly time: VirtualTime;
  readonly rng: Rng;
  readonly record: RunRecord;
  readonly who: Principal;
  readonly functionIds: readonly string[];
  /** The server's calls; undefined while it is down. */
  readonly service: () => CallService | undefined;
}

const ANSWER_MS_MAX = 6_000;
const AGAIN_MS = 700;

export class Users {
  readonly calls: UserCall[] = [];
  readonly #options: UsersOptions;

  constructor(options: UsersOptions) {
    this.#options = options;
  }

  /** Inputs asked for so far, accepted or not. */
  get inputCount(): number {
    return this.calls.reduce((sum, { inputCount }) => sum + inputCount, 0);
  }

  /** One more call of any function. */
  submit(): void {
    const { rng, functionIds } = this.#options;
    const callId = `ca_${String(this.calls.length + 1).padStart(26, "0")}`;
    const inputCount = rng.below(4) === 0 ? 1 : 1 + rng.below(30);
    const functionId = functionIds[rng.below(functionIds.length)] ?? "";
    const call = { callId, functionId, inputCount, acceptedCount: 0, isCancelled: false };
    this.calls.push(call);
    this.#send(call, inputCount > 15 ? Math.floor(inputCount / 2) : inputCount);
  }

  /** Cancels one of the calls. */
  cancel(): void {
    const { rng, who, service, record } = this.#options;
    const call = this.calls[rng.below(Math.max(1, this.calls.length))];
    const calls = service();
    if (calls === undefined || call === undefined || call.acceptedCount === 0) return;
    record.event(`cancel ${call.callId}`);
    call.isCancelled = true;
    calls.cancel(who, call.callId).catch((error: unknown) => {
      record.event(`cancel of ${call.callId} failed: ${String(error)}`);
    });
  }

  /** Sends inputs until all are accepted; each part as often as it takes. */
  #send(call: UserCall, upTo: number): void {
    if (call.isCancelled) return;
    const { time } = this.#options;
    let isAnswered = false;
    const again = (): void => {
      if (isAnswered) return;
      isAnswered = true;
      time.after(AGAIN_MS, () => this.#send(call, upTo));
    };
    time.after(ANSWER_MS_MAX, again);
    this.#ask(call, upTo).then((isAccepted) => {
      if (!isAccepted) {
        again();
        return;
      }
      call.acceptedCount = Math.max(call.acceptedCount, upTo);
      if (isAnswered) return;
      isAnswered = true;
      this.#options.record.event(`accepted ${call.callId} up to ${upTo}`);
      if (upTo < call.inputCount) this.#send(call, call.inputCount);
    }, again);
  }

  /** Whether the server has them. */
  async #ask(call: UserCall, upTo: number): Promise<boolean> {
    const { who, service } = this.#options;
    const calls = service();
    if (calls === undefined) return false;
    const { callId, functionId, acceptedCount: from } = call;
    const payloads = Array.from({ length: upTo - from }, () => new Uint8Array(8));
    const sizes = payloads.map(({ byteLength }) => byteLength);
    const final = upTo === call.inputCount;
    if (from === 0) {
      const kind = call.inputCount === 1 ? "single" : "map";
      const header = { callId, kind, sizes, final, waitMs: 0 } as const;
      const signal = new AbortController().signal;
      await calls.create(who, functionId, header, payloads, signal);
      return true;
    }
    await calls.append(who, callId, { startIndex: from, sizes, final }, payloads);
    return true;
  }
}
