/** What the command line says to `flotilla plan` when it plans from files. */
import { CommandError } from "../outcome.ts";

/** Options of `flotilla plan`; without files it shows the running platform's plan. */
export interface PlanOptions {
  readonly offers?: string;
  readonly demand?: string;
  readonly policy?: string;
  readonly fleet?: string;
  readonly quotas?: string;
  readonly timeLimitS?: string;
  readonly whatIf?: readonly string[];
  readonly json?: boolean;
}

/** Options that were checked: what must be there is. */
export interface FilePlanOptions extends Omit<PlanOptions, "timeLimitS"> {
  readonly offers: string;
  readonly demand: string;
  readonly timeLimitMs?: number;
}

const FILE_FLAGS = ["offers", "demand", "policy", "fleet", "quotas"] as const;
const TIME_LIMIT_S_MAX = 86_400;
const STANDARD_INPUT = "-";

/** Whether a plan is to be made from files. */
export function asksForFiles(options: PlanOptions): boolean {
  const isGiven = FILE_FLAGS.some((flag) => options[flag] !== undefined);
  return isGiven || options.timeLimitS !== undefined || (options.whatIf ?? []).length > 0;
}

/** @throws CommandError `usage` for options that do not go together. */
export function checkedOptions({ timeLimitS, ...options }: PlanOptions): FilePlanOptions {
  const { offers, demand } = options;
  if (offers === undefined || demand === undefined) {
    const missing = offers === undefined ? "--offers F.csv" : "--demand F.json";
    throw new CommandError("usage", `a plan from files also needs ${missing}`, {
      nextStep: "see `flotilla plan --help`; without any file it shows the running platform's plan",
    });
  }
  const fromInput = FILE_FLAGS.filter((flag) => options[flag] === STANDARD_INPUT);
  if (fromInput.length > 1) {
    const flags = fromInput.map((flag) => `--${flag}`).join(" and ");
    throw new CommandError("usage", `only one file can come from standard input, not ${flags}`);
  }
  const timeLimitMs = timeLimitS === undefined ? undefined : timeLimitOf(timeLimitS);
  return { ...options, offers, demand, ...(timeLimitMs === undefined ? {} : { timeLimitMs }) };
}

function timeLimitOf(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (seconds > 0 && seconds <= TIME_LIMIT_S_MAX) return Math.max(1, Math.round(seconds * 1_000));
  const range = `a number of seconds above 0, at most ${TIME_LIMIT_S_MAX}`;
  throw new CommandError("usage", `--time-limit-s takes ${range}, not ${text}`);
}
