/** A dispatcher over a queue and a ledger in memory, for tests. */
import type { AgentResult } from "../../sandbox/index.ts";
import type { InputConcurrency } from "./assign.ts";
import type { DispatcherPort } from "./dispatcher-port.ts";
import { MemoryQueue } from "./fake-queue.ts";
import { FunctionDispatcher } from "./function-dispatcher.ts";
import type { LocalInput } from "./input.ts";
import type { RetryRule } from "./retry.ts";
import type { Settlement } from "./settlement.ts";

const AWAY = new Error("the ledger is away");
/** The call of these tests. */
export const CALL = "ca_0";
const NOTHING = new Uint8Array(0);

/** A dispatcher with a ledger of one call in memory and containers that only collect inputs. */
export class Bench {
  readonly queue = new MemoryQueue(() => this.nowMs);
  readonly results = new Map<number, Settlement>();
  readonly sent: { containerId: string; inputs: readonly LocalInput[] }[] = [];
  readonly takenBack: { containerId: string; inputIds: readonly string[] }[] = [];
  readonly excused: string[] = [];
  readonly errors: unknown[] = [];
  /** Loads from the ledger that fail from now on. */
  failingLoads = 0;
  recordings = 0;
  /** Failures that the ledger knows of each input from before. */
  failuresBefore = 0;
  readonly failed: number[] = [];
  nowMs = 0;
  readonly dispatcher: FunctionDispatcher;

  constructor(concurrency?: InputConcurrency, retries?: RetryRule) {
    const port: DispatcherPort = {
      sendInputs: (containerId, inputs) => {
        this.sent.push({ containerId, inputs });
        return true;
      },
      takeBack: (containerId, inputIds) => {
        this.takenBack.push({ containerId, inputIds });
      },
      loadOpen: (range) => {
        this.failingLoads -= 1;
        if (this.failingLoads >= 0) return Promise.reject(AWAY);
        const inputs = Array.from(
          { length: range.to - range.from },
          (_, offset) => range.from + offset,
        )
          .filter((index) => !this.results.has(index))
          .map((index) => ({
            callId: range.callId,
            index,
            payload: NOTHING,
            attempts: 0,
            excusedAttempts: 0,
            failures: this.failuresBefore,
            suspect: false,
          }));
        return Promise.resolve(inputs);
      },
      noteAttempts: () => undefined,
      excuseAttempts: (inputs, containerId) => {
        this.excused.push(...inputs.map(({ index }) => `${containerId}/${index}`));
      },
      noteFailures: (inputs) => {
        this.failed.push(...inputs.map(({ index }) => index));
      },
      record: (settlements) => {
        for (const settlement of settlements) {
          this.recordings += 1;
          const { index } = settlement.input;
          if (!this.results.has(index)) this.results.set(index, settlement);
        }
        return Promise.resolve();
      },
      onLoadChanged: () => undefined,
      onError: (error) => {
        if (error !== AWAY) throw error;
        this.errors.push(error);
      },
      nowMs: () => this.nowMs,
    };
    this.dispatcher = new FunctionDispatcher(this.queue, port, concurrency, retries);
  }

  /** What was sent since the last call of this, per container. */
  takeSent(): Map<string, LocalInput[]> {
    const byContainer = new Map<string, LocalInput[]>();
    for (const { containerId, inputs } of this.sent.splice(0)) {
      byContainer.set(containerId, [...(byContainer.get(containerId) ?? []), ...inputs]);
    }
    return byContainer;
  }

  async answer(
    containerId: string,
    inputs: readonly LocalInput[],
    outcome: AgentResult["outcome"] = "succeeded",
    runMs = 0.1,
  ): Promise<void> {
    await this.dispatcher.results(
      containerId,
      inputs.map(({ inputId }) => ({ inputId, outcome, bytes: 0, runMs })),
      inputs.map(() => NOTHING),
    );
    await settled();
  }
}

/** Lets promises that are ready, and what waits for the end of this turn, run to their end. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}
