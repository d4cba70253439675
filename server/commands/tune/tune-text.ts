/** What a search found, as text for people. */
import {
  frontOf,
  meanOf,
  nameOf,
  type Judgement,
  type TunedCandidate,
} from "../../../simulations/index.ts";
import { columns } from "../columns.ts";
import {
  chosenOf,
  shortNumber,
  spreadText,
  stretchText,
  verdictText,
  type Found,
} from "./found.ts";

const FRONT_MAX = 12;

interface Row {
  readonly label: string;
  readonly figure: string;
  readonly factor: number;
}

const ROWS: readonly Row[] = [
  { label: "cost, USD/h", figure: "cost", factor: 1 },
  { label: "cost / B60", figure: "costOverB60", factor: 1 },
  { label: "wait p99, s", figure: "waitP99Ms", factor: 0.001 },
  { label: "wait p99.9, s", figure: "waitP999Ms", factor: 0.001 },
  { label: "waited over 2 s, %", figure: "missFraction", factor: 100 },
  { label: "useful / paid, %", figure: "utilization", factor: 100 },
  { label: "launches, 1/h", figure: "launchesPerHour", factor: 1 },
];

/** The verdict, chosen against base on both stretches, and the front. */
export function tuneText(found: Found): string {
  const { outcome, world, objective } = found;
  const total = outcome.candidates.length + outcome.givenUpCount;
  return [
    world,
    `${total} candidates in ${outcome.flown} flights; least ${objective}`,
    "",
    `${sentence(verdictText(found))}.`,
    settingsText(chosenOf(found)),
    "",
    comparison(found),
    "",
    frontText(found),
    "",
  ].join("\n");
}

function settingsText({ settings }: TunedCandidate): string {
  const set = Object.entries(settings);
  if (set.length === 0) return "Nothing is set.";
  return set.map(([name, value]) => `  ${name} = ${value}`).join("\n");
}

/** The best in training beside the base policy, whichever of them is chosen. */
function comparison({ outcome, windows, fromHours, objective }: Found): string {
  const { base, best } = outcome;
  const judgements: readonly Judgement[] = [base.train, best.train, base.heldOut, best.heldOut];
  const name = nameOf(best.id);
  const head = ["", "base, training", `${name}, training`, "base, held out", `${name}, held out`];
  const rows = ROWS.map(({ label, figure, factor }) => [
    label,
    ...judgements.map(({ flights }) => {
      const values = flights.flatMap((figures) => figures[figure] ?? []);
      return values.length === 0 ? "–" : spreadText(values.map((value) => value * factor));
    }),
  ]);
  const objectives = ["objective", ...judgements.map(({ values }) => spreadText(values))];
  return [
    columns(head, [objectives, ...rows]),
    `training: ${stretchText(windows.train, fromHours)}; ` +
      `held out: ${stretchText(windows.heldOut, fromHours)}; mean (least–greatest) over seeds`,
    `objective: ${objective}`,
  ].join("\n");
}

function frontText({ outcome }: Found): string {
  const front = frontOf([outcome.base, ...outcome.candidates]);
  const rows = front.slice(0, FRONT_MAX).map(({ id, settings, train, heldOut }) => [
    nameOf(id),
    ...figuresOf(train),
    ...figuresOf(heldOut),
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}`)
      .join(" "),
  ]);
  const head = ["ON THE FRONT", "USD/h", "p99, s", "held out USD/h", "p99, s", "settings"];
  const more = front.length - rows.length;
  return columns(head, rows) + (more > 0 ? `\nand ${more} more, on the page` : "");
}

function figuresOf(judgement: Judgement | undefined): readonly string[] {
  if (judgement === undefined) return ["–", "–"];
  const { flights } = judgement;
  return [shortNumber(meanOf(flights, "cost")), shortNumber(meanOf(flights, "waitP99Ms") / 1_000)];
}

function sentence(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
