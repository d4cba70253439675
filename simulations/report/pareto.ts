/**
 * What a search for a policy found: the Pareto front of cost against waiting, as one
 * self-contained page. A candidate is on the front when no other is at least as good in both
 * and better in one, by its training window; held-out values are shown beside them, since a
 * front by the data that it was chosen on flatters.
 */
import { assert, usdFromMicroUsd } from "../../core/index.ts";
import { fixedText, NO_FIGURE, secondsText, usdText } from "./format.ts";
import { markup, type Markup } from "./html/markup.ts";
import { card, pageText, section } from "./html/page.ts";
import { coordinate, horizontalLine, legendList, percent, plotFigure } from "./html/plot.ts";
import { linearScale, logScale, type Scale } from "./html/scale.ts";
import { waitLabel } from "./html/time-charts.ts";
import { MISS_WAIT_MS } from "../result.ts";

/** What a candidate costs and how long its inputs wait. */
export interface ParetoValue {
  readonly costMicroUsdPerHour: number;
  readonly waitP99Ms: number;
}

export interface ParetoCandidate {
  /** Unique in its study, such as `candidate 17`. */
  readonly name: string;
  /** What was set, by the name of the setting. */
  readonly settings: Readonly<Record<string, number | string>>;
  readonly train: ParetoValue;
  /** Absent for those that were given up before they were judged. */
  readonly heldOut?: ParetoValue;
}

export interface ParetoStudy {
  readonly world: string;
  readonly seeds: readonly number[];
  /** Of the held-out window; absent means those of training. */
  readonly heldOutSeeds?: readonly number[];
  readonly commit?: string;
  /** As it was asked for, such as `cost + 0.002*waitP99Ms`. */
  readonly objective: string;
  readonly candidates: readonly ParetoCandidate[];
  /** Name of the candidate that was chosen. */
  readonly winner: string;
  /** Name of the candidate that all are compared with: what is in force without a search. */
  readonly base?: string;
  /** Candidates that were given up on shorter windows, whose values do not compare. */
  readonly givenUpCount?: number;
}

const WAIT_FLOOR_MS = 10;
const BASE_COLOR = "var(--series-3)";

/** The candidates on the front by their training values, the cheapest first. O(n log n). */
export function paretoFront(candidates: readonly ParetoCandidate[]): readonly ParetoCandidate[] {
  const ranked = candidates.toSorted(
    ({ train: left }, { train: right }) =>
      left.costMicroUsdPerHour - right.costMicroUsdPerHour || left.waitP99Ms - right.waitP99Ms,
  );
  let shortestMs = Infinity;
  let ofCostMicroUsd = -Infinity;
  return ranked.filter(({ train: { costMicroUsdPerHour, waitP99Ms } }) => {
    // Equals of one on the front are on it too: neither is better.
    const isEqual = costMicroUsdPerHour === ofCostMicroUsd && waitP99Ms === shortestMs;
    if (!isEqual && waitP99Ms >= shortestMs) return false;
    [shortestMs, ofCostMicroUsd] = [waitP99Ms, costMicroUsdPerHour];
    return true;
  });
}

/** The text of the page. The winner must be one of the candidates. */
export function paretoPage(study: ParetoStudy): string {
  const { candidates, winner: winnerName, world } = study;
  const winner = candidates.find(({ name }) => name === winnerName);
  assert(winner !== undefined, `the winner ${winnerName} is none of the candidates`);
  const front = paretoFront(candidates);
  return pageText({
    title: `Policies for ${world}`,
    opening: openingLines(study),
    body: [
      winnerCards(winner),
      section("Cost against waiting", [paretoChart(study, front, winner)], {
        note: "Each mark is one policy; lower and further left is better. Above the dotted line, at 2 s, more than one input in a hundred is a miss.",
      }),
      section("The front", [frontTable(study, front, winner)], {
        note: "By training, the cheapest first; below it what is compared with. The chosen one is marked.",
        flow: "long",
      }),
    ],
  });
}

function openingLines(study: ParetoStudy): readonly string[] {
  const { seeds, heldOutSeeds = seeds, commit, objective, candidates, givenUpCount = 0 } = study;
  const ofCommit = commit === undefined ? "" : `, commit ${commit}`;
  const judged = candidates.filter(({ heldOut }) => heldOut !== undefined).length;
  const [count, besides] =
    study.base === undefined
      ? [candidates.length, ""]
      : [candidates.length - 1, ` and the ${study.base}`];
  const givenUp =
    givenUpCount === 0 ? "" : ` ${givenUpCount} more were given up on shorter windows.`;
  return [
    `Least ${objective} among ${count} candidates${besides}${ofCommit}.${givenUp}`,
    `Chosen on the training window, ${seedsText(seeds)}; ${judged} were judged on the held-out ` +
      `one as well, ${seedsText(heldOutSeeds)}.`,
  ];
}

function seedsText(seeds: readonly number[]): string {
  return `${seeds.length === 1 ? "seed" : "seeds"} ${seeds.join(", ")}`;
}

function winnerCards({ name, train, heldOut }: ParetoCandidate): Markup {
  const heldOutOf = (text: string | undefined): string => `held out: ${text ?? NO_FIGURE}`;
  return markup`<dl class="cards">
${card("chosen", name, {})}
${card("cost, training", usdText(train.costMicroUsdPerHour), {
  unit: "USD/h",
  below: heldOutOf(heldOut && usdText(heldOut.costMicroUsdPerHour)),
})}
${card("wait p99, training", secondsText(train.waitP99Ms), {
  unit: "s",
  below: heldOutOf(heldOut && secondsText(heldOut.waitP99Ms)),
})}
</dl>`;
}

function paretoChart(
  { candidates, base: baseName }: ParetoStudy,
  front: readonly ParetoCandidate[],
  winner: ParetoCandidate,
): Markup {
  const scales = scalesOf(candidates);
  const onFront = new Set(front);
  const base = candidates.find(({ name }) => name === baseName);
  return plotFigure({
    caption: "Wait p99 in s, over cost in USD an hour",
    description:
      `${candidates.length} candidates, ${front.length} of them on the front. Chosen: ` +
      `${winner.name} at ${usdText(winner.train.costMicroUsdPerHour)} USD an hour and p99 ` +
      `${secondsText(winner.train.waitP99Ms)} seconds.`,
    heightPx: 420,
    xTicks: scales.cost.ticks,
    yTicks: scales.wait.ticks,
    drawing: [
      horizontalLine(scales.wait.place(MISS_WAIT_MS), "grid rule"),
      ...front.flatMap((candidate) => heldOutLine(candidate, scales)),
      frontLine(front, scales),
    ],
    overlay: [
      ...candidates
        .filter((candidate) => !onFront.has(candidate) && candidate !== base)
        .map((candidate) => mark(candidate, candidate.train, { classes: "dot hollow", scales })),
      ...front.flatMap((candidate) => frontMarks(candidate, scales)),
      ...(base === undefined
        ? []
        : [mark(base, base.train, { classes: "dot base", color: BASE_COLOR, scales })]),
      winnerRing(winner, scales),
    ],
    legend: legendList([
      { name: "the front, training window", color: "var(--series-0)", line: "solid" },
      { name: "the same on the held-out window", color: "var(--series-1)", mark: "diamond" },
      { name: "other candidates", color: "var(--soft)", mark: "hollow" },
      ...(base === undefined
        ? []
        : [{ name: base.name, color: BASE_COLOR, mark: "square" as const }]),
      { name: `chosen: ${winner.name}`, color: "var(--series-5)", mark: "ring" },
    ]),
  });
}

interface Scales {
  readonly cost: Scale;
  readonly wait: Scale;
}

function scalesOf(candidates: readonly ParetoCandidate[]): Scales {
  const values = candidates.flatMap(({ train, heldOut }) =>
    heldOut === undefined ? [train] : [train, heldOut],
  );
  const costs = values.map(({ costMicroUsdPerHour }) => usdFromMicroUsd(costMicroUsdPerHour));
  const waits = values.map(({ waitP99Ms }) => waitP99Ms);
  const leastMs = Math.max(WAIT_FLOOR_MS, Math.min(MISS_WAIT_MS / 2, ...waits));
  return {
    cost: linearScale(Math.min(...costs), Math.max(...costs), {
      label: (usd) => fixedText(usd, Math.max(...costs) < 10 ? 2 : 0),
    }),
    wait: logScale(
      10 ** Math.floor(Math.log10(leastMs)),
      Math.max(MISS_WAIT_MS * 5, ...waits),
      waitLabel,
    ),
  };
}

function placeOf(value: ParetoValue, { cost, wait }: Scales): readonly [number, number] {
  return [cost.place(usdFromMicroUsd(value.costMicroUsdPerHour)), wait.place(value.waitP99Ms)];
}

/** Steps, for between two candidates of the front nothing was tried. */
function frontLine(front: readonly ParetoCandidate[], scales: Scales): Markup {
  const points = front.map(({ train }) => {
    const [x, y] = placeOf(train, scales);
    return { x: coordinate(x), y: coordinate(1 - y) };
  });
  const [first, ...rest] = points;
  const steps = rest.map(({ x, y }) => `H${x}V${y}`).join("");
  return markup`<path class="stroke" style="stroke:var(--series-0)"
d="M${first?.x ?? 0},${first?.y ?? 0}${steps}"/>`;
}

function heldOutLine({ train, heldOut }: ParetoCandidate, scales: Scales): readonly Markup[] {
  if (heldOut === undefined) return [];
  const [from, to] = [train, heldOut].map((value) => {
    const [x, y] = placeOf(value, scales);
    return `${coordinate(x)},${coordinate(1 - y)}`;
  });
  return [
    markup`<path class="stroke" style="stroke:var(--series-1);stroke-width:1;stroke-dasharray:3 3"
d="M${from}L${to}"/>`,
  ];
}

function frontMarks(candidate: ParetoCandidate, scales: Scales): readonly Markup[] {
  const { train, heldOut } = candidate;
  const own = mark(candidate, train, { classes: "dot", color: "var(--series-0)", scales });
  if (heldOut === undefined) return [own];
  const color = "var(--series-1)";
  return [own, mark(candidate, heldOut, { classes: "dot held-out", color, scales })];
}

function mark(
  candidate: ParetoCandidate,
  value: ParetoValue,
  { classes, color, scales }: { classes: string; color?: string; scales: Scales },
): Markup {
  const [x, y] = placeOf(value, scales);
  const text =
    `${candidate.name}, ${value === candidate.train ? "training" : "held out"}\n` +
    `${usdText(value.costMicroUsdPerHour)} USD/h, p99 ${secondsText(value.waitP99Ms)} s\n` +
    settingsText(candidate);
  const fill = color === undefined ? "" : `;background:${color}`;
  return markup`<span class="${classes}" data-tip="${text}" style="left:${percent(x)};bottom:${percent(y)}${fill}"></span>`;
}

function winnerRing({ train }: ParetoCandidate, scales: Scales): Markup {
  const [x, y] = placeOf(train, scales);
  return markup`<span class="winner" style="left:${percent(x)};bottom:${percent(y)};pointer-events:none"></span>`;
}

function settingsText({ settings }: ParetoCandidate): string {
  const set = Object.entries(settings);
  if (set.length === 0) return "as it is";
  return set.map(([name, value]) => `${name} = ${value}`).join("\n");
}

function frontTable(
  { candidates, base: baseName }: ParetoStudy,
  front: readonly ParetoCandidate[],
  winner: ParetoCandidate,
): Markup {
  const base = candidates.find(({ name }) => name === baseName);
  const shown = [...new Set([...front, winner, ...(base === undefined ? [] : [base])])];
  return markup`<div class="scroll" tabindex="0" role="region" aria-label="The front"><table>
<thead><tr><th scope="col">Candidate</th><th scope="col">cost, USD/h</th>
<th scope="col">held out, USD/h</th><th scope="col">wait p99, s</th>
<th scope="col">held out, s</th><th scope="col" class="words">settings</th></tr></thead>
<tbody>
${shown.map((candidate) => frontRow(candidate, candidate === winner))}
</tbody></table></div>`;
}

function frontRow(candidate: ParetoCandidate, isWinner: boolean): Markup {
  const { name, train, heldOut } = candidate;
  return markup`<tr class="${isWinner ? "marked" : ""}"><th scope="row">${name}${
    isWinner ? " (chosen)" : ""
  }</th>
<td>${usdText(train.costMicroUsdPerHour)}</td>
<td>${heldOut === undefined ? NO_FIGURE : usdText(heldOut.costMicroUsdPerHour)}</td>
<td>${secondsText(train.waitP99Ms)}</td>
<td>${heldOut === undefined ? NO_FIGURE : secondsText(heldOut.waitP99Ms)}</td>
<td class="words settings">${settingsText(candidate).replaceAll("\n", ", ")}</td></tr>`;
}
