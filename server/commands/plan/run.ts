/** `flotilla plan` with files: plans without a platform, and answers what-if questions. */
import { messageOf } from "../../../core/index.ts";
import { Planner } from "../../fleet/planner.ts";
import { CommandError, EXIT, settle } from "../outcome.ts";
import { nextStop } from "../stop-signal.ts";
import { comparePlans } from "./comparison.ts";
import { comparisonText } from "./comparison-text.ts";
import { checkedOptions, type FilePlanOptions, type PlanOptions } from "./options.ts";
import { planDocument, type PlanDocument } from "./plan-document.ts";
import { planText } from "./plan-text.ts";
import { withProgress } from "./progress.ts";
import { readSituation } from "./read-situation.ts";
import { planInputOf, wantedCount, type Situation } from "./situation.ts";
import { applyChange } from "./what-if.ts";

/**
 * Plans from files and prints the plan. Exit codes: 0 for a plan, also one with unmet demand; 5
 * when demand was asked for and none of it can be served; 2 for inputs that are wrong; 130 when
 * interrupted.
 */
export async function runPlanFromFiles(options: PlanOptions): Promise<void> {
  await settle(async () => {
    const stopping = new AbortController();
    const stopped = nextStop(() => undefined).then(() => {
      const error = new CommandError("interrupted", "interrupted before there was a plan");
      stopping.abort(error);
      throw error;
    });
    await Promise.race([planAndPrint(checkedOptions(options), stopping.signal), stopped]);
  });
}

async function planAndPrint(options: FilePlanOptions, signal: AbortSignal): Promise<void> {
  const { situation, table } = await readSituation(options);
  const changes = options.whatIf ?? [];
  const changed = changes.reduce(applyChange, situation);
  const planner = new Planner((error, doing) => console.error(`Note: ${doing}: ${causes(error)}`));
  const documentOf = async (of: Situation, doing: string): Promise<PlanDocument> => {
    const input = planInputOf(of);
    const planning = planner.plan(input, { signal });
    const timed = await withProgress(doing, input.policy.solveTimeLimitMs, planning);
    return planDocument(timed, of, table);
  };
  const asGiven = await documentOf(situation, "planning");
  if (changes.length === 0) {
    console.log(options.json === true ? JSON.stringify(asGiven) : planText(asGiven));
  } else {
    const whatIf = await documentOf(changed, "planning what if");
    printBoth(options, { asGiven, whatIf, changes });
  }
  if (servesNothing(asGiven, situation)) process.exitCode = EXIT.capacity;
  await planner.close();
}

interface Both {
  readonly asGiven: PlanDocument;
  readonly whatIf: PlanDocument;
  readonly changes: readonly string[];
}

function printBoth(options: FilePlanOptions, { asGiven, whatIf, changes }: Both): void {
  const differences = comparePlans(asGiven, whatIf);
  const isJson = options.json === true;
  if (isJson) console.log(JSON.stringify({ changes, asGiven, whatIf, differences }));
  else console.log(comparisonText(changes, asGiven, whatIf, differences));
}

function servesNothing({ unmet }: PlanDocument, situation: Situation): boolean {
  const wanted = wantedCount(situation);
  return wanted > 0 && unmet.reduce((sum, { quantity }) => sum + quantity, 0) >= wanted;
}

function causes(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? messageOf(error) : `${messageOf(error)}: ${messageOf(cause)}`;
}
