/**
 * Shows on stderr how far runs are: on a terminal a line for each that is under way, redrawn in
 * place; elsewhere a plain line now and then, so that logs stay readable.
 */
import { MS_PER_HOUR, MS_PER_SECOND } from "../../../core/index.ts";
import type { SimulationProgress, SimulationResult } from "../../../simulations/index.ts";
import type { CrewTask } from "./crew.ts";

const REDRAW_EVERY_MS = 200;
const PLAIN_EVERY_MS = 10_000;
const BAR_COLUMNS = 12;
const WIDTH_DEFAULT = 100;

/** Where lines go; `isLive` where the cursor may be moved. */
export interface ProgressScreen {
  readonly isLive: boolean;
  readonly widthColumns: number;
  write(text: string): void;
}

/** The terminal or log behind stderr. */
export function stderrScreen(): ProgressScreen {
  const { stderr } = process;
  return {
    isLive: stderr.isTTY && process.env["TERM"] !== "dumb",
    widthColumns: stderr.isTTY ? stderr.columns : WIDTH_DEFAULT,
    write: (text) => void stderr.write(text),
  };
}

/** A run that is under way. */
interface Under {
  readonly startedMs: number;
  last: SimulationProgress | undefined;
}

export class ProgressShow {
  readonly #screen: ProgressScreen;
  readonly #nowMs: () => number;
  readonly #under = new Map<CrewTask, Under>();
  readonly #total: number;
  #done = 0;
  #drawnLines = 0;
  #saidMs: number;

  /** @param total Runs in all. */
  constructor(total: number, screen: ProgressScreen, nowMs: () => number) {
    this.#total = total;
    this.#screen = screen;
    this.#nowMs = nowMs;
    this.#saidMs = nowMs();
  }

  start(task: CrewTask): void {
    this.#under.set(task, { startedMs: this.#nowMs(), last: undefined });
  }

  progress(task: CrewTask, progress: SimulationProgress): void {
    const under = this.#under.get(task);
    if (under === undefined) return;
    if (under.last === undefined && progress.begunAtMs > 0) {
      this.say(`• ${labelOf(task)}: goes on from ${hoursText(progress)}, where it was stopped`);
    }
    under.last = progress;
    const nowMs = this.#nowMs();
    const everyMs = this.#screen.isLive ? REDRAW_EVERY_MS : PLAIN_EVERY_MS;
    if (nowMs - this.#saidMs < everyMs) return;
    this.#saidMs = nowMs;
    if (this.#screen.isLive) this.#redraw();
    else for (const [one, state] of this.#under) this.#line(this.#stateText(one, state));
  }

  done(task: CrewTask, result: SimulationResult): void {
    const under = this.#under.get(task);
    this.#under.delete(task);
    this.#done += 1;
    const took = under === undefined ? "" : ` in ${seconds(this.#nowMs() - under.startedMs)}`;
    const count = result.inputs.toLocaleString("en-US");
    this.say(`• ${labelOf(task)}: done${took}, ${count} inputs (${this.#done} of ${this.#total})`);
  }

  /** Runs that are kept already count as done. */
  skip(count: number, of: number): void {
    this.#done += count;
    this.say(`• ${count} of ${of} runs were flown before: taken from --state`);
  }

  /** Something that stays to be read. */
  say(text: string): void {
    this.#clear();
    this.#line(text);
    this.#redraw();
  }

  /** Takes the redrawn lines away; what was said stays. */
  close(): void {
    this.#clear();
    this.#under.clear();
  }

  #redraw(): void {
    if (!this.#screen.isLive) return;
    this.#clear();
    for (const [task, under] of this.#under) this.#line(this.#stateText(task, under));
    this.#drawnLines = this.#under.size;
  }

  #clear(): void {
    if (this.#drawnLines === 0) return;
    // Up so many lines, to the left, and everything below is empty.
    this.#screen.write(`\u001b[${this.#drawnLines}A\r\u001b[J`);
    this.#drawnLines = 0;
  }

  #line(text: string): void {
    const { isLive, widthColumns } = this.#screen;
    this.#screen.write(`${isLive ? text.slice(0, Math.max(20, widthColumns - 1)) : text}\n`);
  }

  #stateText(task: CrewTask, { startedMs, last }: Under): string {
    const label = labelOf(task);
    if (last === undefined) return `  ${label}: reads its world`;
    const { nowMs, untilMs, inputs, nodes, begunAtMs } = last;
    const share = untilMs === 0 ? 1 : nowMs / untilMs;
    const elapsedMs = this.#nowMs() - startedMs;
    const flown = untilMs === 0 ? 1 : (nowMs - begunAtMs) / untilMs;
    const left = flown > 0.02 ? `, ${seconds((elapsedMs / flown) * (1 - share))} left` : "";
    const bar = this.#screen.isLive ? ` ${barOf(share)}` : "";
    const percent = String(Math.floor(share * 100)).padStart(3);
    const hours = hoursText({ nowMs, untilMs });
    const counts = `${inputs.toLocaleString("en-US")} inputs, ${nodes} nodes`;
    return `  ${label}:${bar}${percent} %, ${hours}, ${counts}${left}`;
  }
}

/** What a run is called while it is under way. */
export function labelOf({ order }: CrewTask): string {
  const { policyName, seed, overrides } = order;
  const reactive = overrides?.reactive;
  if (order.span === undefined || reactive === undefined) return `${policyName}, seed ${seed}`;
  const { utilizationTarget, holdMs } = reactive;
  return `tuning, ${utilizationTarget} busy and kept for ${holdMs / MS_PER_SECOND} s`;
}

function hoursText({ nowMs, untilMs }: Pick<SimulationProgress, "nowMs" | "untilMs">): string {
  return `hour ${Math.floor(nowMs / MS_PER_HOUR)} of ${Math.ceil(untilMs / MS_PER_HOUR)}`;
}

function barOf(share: number): string {
  const full = Math.min(BAR_COLUMNS, Math.floor(share * BAR_COLUMNS));
  return `${"█".repeat(full)}${"░".repeat(BAR_COLUMNS - full)}`;
}

function seconds(ms: number): string {
  const whole = Math.max(0, Math.round(ms / MS_PER_SECOND));
  return whole < 120 ? `${whole} s` : `${Math.round(whole / 60)} min`;
}
