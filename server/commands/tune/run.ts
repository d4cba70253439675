/** `flotilla tune`: searches for the policy that is best in a simulated world. */
import { writeFile } from "node:fs/promises";
import {
  paretoPage,
  readWorld,
  searchWindows,
  sizeOfSearch,
  studyOf,
  tune,
  type TuneProgress,
} from "../../../simulations/index.ts";
import { CommandError, settle } from "../outcome.ts";
import { basisOf, commitOf } from "../simulate/code-version.ts";
import { Crew } from "../simulate/crew.ts";
import { stderrScreen } from "../simulate/progress.ts";
import { RunStore } from "../simulate/run-store.ts";
import { nextStop } from "../stop-signal.ts";
import { basePolicyContent, parametersOf } from "./base-policy.ts";
import { flightsOf, isPolicy } from "./flights.ts";
import { shortNumber, stretchText, type Found } from "./found.ts";
import {
  requireFolderOf,
  tuneRequestOf,
  type TuneCommandOptions,
  type TuneRequest,
} from "./options.ts";
import { TuneShow } from "./progress.ts";
import { tuneDocument } from "./tune-document.ts";
import { tuneText } from "./tune-text.ts";
import { commandText, winnerFile } from "./winner-file.ts";

/**
 * Searches, writes the policy and prints what was found. Exit codes: 0 when the search came to its
 * end, 2 for inputs that are wrong, 130 when interrupted.
 */
export async function runTune(options: TuneCommandOptions): Promise<void> {
  await settle(async () => {
    const stopping = new AbortController();
    let last: TuneProgress | undefined;
    const stopped = nextStop(() => undefined).then(() => {
      const error = interruption(options.state, last);
      stopping.abort(error);
      throw error;
    });
    const searching = search(tuneRequestOf(options), stopping.signal, (progress) => {
      last = progress;
    });
    await Promise.race([searching.then(print), stopped]);
  });
}

interface Answer {
  readonly request: TuneRequest;
  readonly found: Found;
}

async function search(
  request: TuneRequest,
  signal: AbortSignal,
  onProgress: (progress: TuneProgress) => void,
): Promise<Answer> {
  const { spec, policyFile, stateDir, jobCount, searchSeed, objective, outFile } = request;
  await requireFolderOf("--out", outFile);
  if (request.reportFile !== undefined) await requireFolderOf("--report", request.reportFile);
  const base = basePolicyContent(policyFile);
  const world = readWorld(spec);
  const parameters = parametersOf(request.params, world);
  const windows = searchWindows(world.trace, request);
  const { runs, seedCount } = request;
  const size = sizeOfSearch({ runs, seedCount, rungCount: windows.rungs.length });
  const fromHours = spec.fromHours ?? 0;
  const store =
    stateDir === undefined ? undefined : await RunStore.open(stateDir, await basisOf(spec));
  console.error(
    `• tuning ${world.name}: training on ${stretchText(windows.train, fromHours)}; held out ` +
      `${stretchText(windows.heldOut, fromHours)}; at most ${size.runs} flights, ${jobCount} at a time`,
  );
  const show = new TuneShow(stderrScreen(), () => performance.now());
  const crew = new Crew(jobCount, signal);
  try {
    const fly = flightsOf({
      ...{ spec, base, parameters, crew },
      ...(store === undefined ? {} : { store }),
      onKept: ({ span }) => show.noteKept(span.untilMs - span.fromMs),
    });
    const outcome = await tune({
      ...{ objective, parameters, windows, size, jobCount, fly, signal },
      seed: searchSeed,
      isAllowed: (settings) => isPolicy(settings, { base, parameters }),
      onProgress: (progress) => {
        onProgress(progress);
        show.show(progress);
      },
    });
    const commit = await commitOf();
    const found: Found = {
      ...{ outcome, parameters, windows, searchSeed, base, fromHours },
      world: world.name,
      objective: objective.text,
      command: commandText(process.argv.slice(2)),
      ...(commit === undefined ? {} : { commit }),
    };
    return { request, found };
  } finally {
    show.close();
    await crew.close();
  }
}

async function print({ request, found }: Answer): Promise<void> {
  const { outFile, reportFile, isJson } = request;
  await writeFile(outFile, winnerFile(found, outFile));
  console.error(`• policy written to ${outFile}`);
  if (reportFile !== undefined) {
    await writeFile(reportFile, paretoPage(studyOf(found.outcome, found)));
    console.error(`• page written to ${reportFile}`);
  }
  if (isJson) console.log(JSON.stringify(tuneDocument(found, outFile), undefined, 2));
  else process.stdout.write(tuneText(found));
}

function interruption(stateDir: string | undefined, last: TuneProgress | undefined): CommandError {
  const flown = last?.flown ?? 0;
  const best =
    last?.best === undefined
      ? ""
      : `; best so far: candidate ${last.best.id} with ${shortNumber(last.best.train.value)}, ` +
        Object.entries(last.best.settings)
          .map(([name, value]) => `${name}=${value}`)
          .join(" ");
  const nextStep =
    stateDir === undefined
      ? "with --state DIR, flights that are done are kept for the next time"
      : `flights that are done are kept in ${stateDir}: the same command goes on from there`;
  return new CommandError("interrupted", `interrupted after ${flown} flights${best}`, { nextStep });
}
