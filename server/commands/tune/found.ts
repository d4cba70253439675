/** What a search found, with all that says how: what the file, the page and the texts are made of. */
import { MS_PER_HOUR } from "../../../core/index.ts";
import {
  verdictOf,
  withSettings,
  type Judgement,
  type Parameter,
  type SearchWindows,
  type Stretch,
  type TunedCandidate,
  type TuneOutcome,
  type Verdict,
} from "../../../simulations/index.ts";

export interface Found {
  readonly outcome: TuneOutcome;
  readonly parameters: readonly Parameter[];
  readonly windows: SearchWindows;
  /** The world's name. */
  readonly world: string;
  readonly objective: string;
  readonly searchSeed: number;
  /** Content of the policy that the search began with. */
  readonly base: unknown;
  readonly commit?: string;
  /** Where the world's first hour is in the demand. */
  readonly fromHours: number;
  /** The command that leads to the same again. */
  readonly command: string;
}

/** The candidate that is written: the base policy unless another is better where none was chosen. */
export function chosenOf({ outcome }: Found): TunedCandidate & { readonly heldOut: Judgement } {
  return verdictOf(outcome) === "better" ? outcome.best : outcome.base;
}

/** The content of the policy file that is written. */
export function chosenContent(found: Found): unknown {
  return withSettings(found.base, found.parameters, chosenOf(found).settings);
}

export function verdictText({ outcome }: Found): string {
  return VERDICTS[verdictOf(outcome)](outcome);
}

const VERDICTS: Record<Verdict, (outcome: TuneOutcome) => string> = {
  better: ({ best }) => `candidate ${best.id} is better than the base policy, held out too`,
  overfit: ({ best }) =>
    `candidate ${best.id} is better than the base policy in training, but not on the held-out ` +
    "stretch: it fits the one and not the other, so the base policy stays",
  none: () => "no candidate is better than the base policy, so that stays",
};

/** Such as `hours 0–24, seeds 1, 2`. */
export function stretchText({ span, seeds }: Stretch, fromHours: number): string {
  const hour = (ms: number): string => shortNumber(fromHours + ms / MS_PER_HOUR);
  const noun = seeds.length === 1 ? "seed" : "seeds";
  return `hours ${hour(span.fromMs)}–${hour(span.untilMs)}, ${noun} ${seeds.join(", ")}`;
}

/** `mean (min–max)` of seeds. */
export function spreadText(values: readonly number[]): string {
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const [least, most] = [Math.min(...values), Math.max(...values)].map(shortNumber);
  return least === most ? shortNumber(mean) : `${shortNumber(mean)} (${least}–${most})`;
}

/** At most five digits, and none behind the point that say nothing. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const digits = size >= 10_000 ? 0 : Math.max(0, 4 - Math.floor(Math.log10(Math.max(size, 1e-4))));
  return String(Number(value.toFixed(Math.min(8, digits))));
}
