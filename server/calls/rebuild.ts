/** Puts accepted inputs back into the queue: after a start, and when Redis lost its jobs. */
import type { OpenInput, RecordStore } from "../store/record-store.ts";
import type { FunctionTable } from "./function-table.ts";

const PAGE = 5_000;

/**
 * Enqueues every unfinished input of the ledger that `wanted` names.
 *
 * An input that is also in an old job is not run twice for it: whoever takes the second job
 * finds the input held or finished. Gives how many inputs were enqueued.
 * Cost: one ledger page per 5,000 open inputs and one queue write per run of indexes.
 */
export async function rebuildQueues(
  store: RecordStore,
  functions: FunctionTable,
  wanted: (functionId: string) => boolean,
): Promise<number> {
  let enqueued = 0;
  const callsSeen = new Set<string>();
  let page = await store.ledger.openInputs(undefined, PAGE);
  while (page.length > 0) {
    for (const run of runsOf(page.filter((input) => wanted(input.functionId)))) {
      const live = await functions.get(run.functionId);
      if (live === undefined) continue;
      if (!callsSeen.has(run.callId)) {
        callsSeen.add(run.callId);
        const call = await store.calls.get(run.callId);
        if (call !== undefined) live.open.note(call);
      }
      await live.dispatcher.enqueue(run.callId, run.from, run.to);
      enqueued += run.to - run.from;
    }
    page = await store.ledger.openInputs(page.at(-1), PAGE);
  }
  return enqueued;
}

interface Run {
  readonly functionId: string;
  readonly callId: string;
  readonly from: number;
  readonly to: number;
}

/** Consecutive indexes of one call, joined. Input is in (callId, index) order. */
function runsOf(inputs: readonly OpenInput[]): readonly Run[] {
  const runs: Run[] = [];
  for (const { functionId, callId, index } of inputs) {
    const last = runs.at(-1);
    if (last?.callId === callId && last.to === index) {
      runs[runs.length - 1] = { ...last, to: index + 1 };
    } else {
      runs.push({ functionId, callId, from: index, to: index + 1 });
    }
  }
  return runs;
}
