/**
 * Looks over the accounts for machines that listings cannot see, every ten minutes: gives back
 * those that the ledger knows for its own, and tells of the others.
 *
 * A survey runs beside the ticks and holds none up; the tick after its end takes it in. What it
 * remembers only keeps it from telling twice.
 */
import { MS_PER_MINUTE, type Clock, type CloudName } from "../core/index.ts";
import type { AccountView } from "../providers/index.ts";
import type { PoolBook } from "./book.ts";
import type { PoolLedger } from "./ports.ts";
import type { Attempt, ProviderDesk } from "./provider-desk.ts";
import { judgeMachines, tracesOf, type JudgedMachine } from "./unclaimed.ts";

/** Least time between two surveys of one account: a survey lists all that is in it. */
export const SURVEY_EVERY_MS = 10 * MS_PER_MINUTE;

/** Most machines of one cloud that are shown one by one. */
const SHOWN_MAX = 100;
/** Most machines of one cloud that one survey tells of one by one. */
const TOLD_MAX = 20;
/** Bare machines that are named as examples. */
const EXAMPLES_MAX = 5;

/** What the last surveys found, by cloud. */
export interface UnclaimedReport {
  readonly cloud: CloudName;
  /** When its account was last looked over. */
  readonly surveyedAtMs: number;
  /** Machines with something of ours, and whose they are; at most 100. */
  readonly machines: readonly {
    readonly providerNodeId: string;
    readonly kind: "lost" | "serving" | "marked";
    readonly reason: string;
  }[];
  /** Machines that have nothing of ours. */
  readonly bareCount: number;
  readonly bareExamples: readonly string[];
}

export interface SurveyorOptions {
  readonly desk: Pick<ProviderDesk, "survey" | "surveyable" | "release">;
  readonly ledger: Pick<PoolLedger, "findByMachine">;
  readonly book: Pick<PoolBook, "emit" | "providerFailed">;
  readonly clock: Clock;
}

/** A survey that has ended. */
type Arrived = { readonly cloud: CloudName } & (
  | { readonly kind: "answered"; readonly attempt: Attempt<AccountView> }
  | { readonly kind: "broken"; readonly error: unknown }
);

/** The surveyor of one controller. */
export class Surveyor {
  readonly #options: SurveyorOptions;
  readonly #begunAtMs = new Map<CloudName, number>();
  readonly #running = new Map<CloudName, Promise<void>>();
  readonly #failing = new Set<CloudName>();
  readonly #told = new Map<CloudName, ReadonlySet<string>>();
  readonly #reports = new Map<CloudName, UnclaimedReport>();
  #arrived: Arrived[] = [];

  constructor(options: SurveyorOptions) {
    this.#options = options;
  }

  /** What the last surveys found; a cloud that was not surveyed yet is left out. */
  get reports(): readonly UnclaimedReport[] {
    return [...this.#reports.values()].sort((one, other) => (one.cloud < other.cloud ? -1 : 1));
  }

  /** Resolves when no survey runs; what they found is taken in by the next look. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  /** Takes in the surveys that have ended and begins those that are due. */
  async look(): Promise<void> {
    const arrived = this.#arrived;
    this.#arrived = [];
    for (const one of arrived) {
      if (one.kind === "broken") throw one.error;
      await this.#takeIn(one.cloud, one.attempt);
    }
    const nowMs = this.#options.clock.nowMs();
    for (const cloud of this.#options.desk.surveyable()) {
      const agoMs = Math.abs(nowMs - (this.#begunAtMs.get(cloud) ?? -Infinity));
      if (this.#running.has(cloud) || agoMs < SURVEY_EVERY_MS) continue;
      this.#begunAtMs.set(cloud, nowMs);
      this.#begin(cloud);
    }
  }

  #begin(cloud: CloudName): void {
    const arrive = (one: Arrived): void => {
      this.#running.delete(cloud);
      this.#arrived.push(one);
    };
    const survey = this.#options.desk.survey(cloud).then(
      (attempt) => {
        arrive({ kind: "answered", cloud, attempt });
      },
      (error: unknown) => {
        arrive({ kind: "broken", cloud, error });
      },
    );
    this.#running.set(cloud, survey);
  }

  async #takeIn(cloud: CloudName, attempt: Attempt<AccountView>): Promise<void> {
    const { book, ledger, clock } = this.#options;
    if (attempt.kind === "failed") {
      if (this.#failing.has(cloud)) return;
      this.#failing.add(cloud);
      const attempted = "looking over its account for machines without a cluster's tag";
      book.providerFailed(cloud, attempted, attempt.error.message);
      return;
    }
    this.#failing.delete(cloud);
    const { machines } = attempt.value;
    const records = machines.length === 0 ? [] : await ledger.findByMachine(tracesOf(machines));
    const nowMs = clock.nowMs();
    const judged = judgeMachines(machines, records, { cloud, nowMs });
    this.#reports.set(cloud, reportOf(cloud, judged, nowMs));
    this.#tell(cloud, judged, nowMs);
    await this.#giveBack(cloud, judged);
  }

  /** Tells of each marked machine and of the number of bare ones, when they are new. */
  #tell(cloud: CloudName, judged: readonly JudgedMachine[], atMs: number): void {
    const before = this.#told.get(cloud) ?? new Set();
    const isNew = ({ machine }: JudgedMachine): boolean => !before.has(machine.providerNodeId);
    const left = judged.filter(({ claim }) => claim.kind === "marked" || claim.kind === "bare");
    this.#told.set(cloud, new Set(left.map(({ machine }) => machine.providerNodeId)));
    const { marked = [], bare = [] } = groupByKind(left.filter(isNew));
    for (const one of marked.slice(0, TOLD_MAX)) {
      const { providerNodeId } = one.machine;
      const reason = reasonOf(one);
      this.#options.book.emit({ kind: "unclaimed", cloud, providerNodeId, reason, atMs });
    }
    const rest = [...marked.slice(TOLD_MAX), ...bare];
    if (rest.length === 0) return;
    const ids = rest.slice(0, EXAMPLES_MAX).map(({ machine }) => machine.providerNodeId);
    const reason =
      `${rest.length} more machines of the account carry no cluster's tag, such as ` +
      `${ids.join(", ")}; nothing says that they are ours, and they are left alone`;
    this.#options.book.emit({ kind: "unclaimed", cloud, reason, atMs });
  }

  async #giveBack(cloud: CloudName, judged: readonly JudgedMachine[]): Promise<void> {
    const { desk, book, clock } = this.#options;
    const lost = judged.filter(({ claim }) => claim.kind === "lost");
    if (lost.length === 0) return;
    const ids = lost.map(({ machine }) => machine.providerNodeId);
    const attempt = await desk.release(cloud, ids);
    if (attempt.kind === "failed") {
      book.providerFailed(cloud, `releasing ${ids.join(", ")}`, attempt.error.message);
      return;
    }
    const atMs = clock.nowMs();
    for (const one of lost) {
      const { providerNodeId } = one.machine;
      book.emit({ kind: "orphan_released", cloud, providerNodeId, reason: reasonOf(one), atMs });
    }
  }
}

function groupByKind(
  judged: readonly JudgedMachine[],
): Partial<Record<JudgedMachine["claim"]["kind"], readonly JudgedMachine[]>> {
  return Object.groupBy(judged, ({ claim }) => claim.kind);
}

function reportOf(
  cloud: CloudName,
  judged: readonly JudgedMachine[],
  surveyedAtMs: number,
): UnclaimedReport {
  const { bare = [] } = groupByKind(judged);
  const machines = judged.flatMap((one) => {
    const { kind } = one.claim;
    if (kind === "bare") return [];
    return [{ providerNodeId: one.machine.providerNodeId, kind, reason: reasonOf(one) }];
  });
  return {
    cloud,
    surveyedAtMs,
    machines: machines.slice(0, SHOWN_MAX),
    bareCount: bare.length,
    bareExamples: bare.slice(0, EXAMPLES_MAX).map(({ machine }) => machine.providerNodeId),
  };
}

function reasonOf({ claim, machine }: JudgedMachine): string {
  switch (claim.kind) {
    case "lost":
      return (
        `the ledger has it as the machine of node ${claim.nodeId}, which has ended; it carries ` +
        "no cluster's tag, so no listing has it"
      );
    case "serving":
      return `it is the machine of node ${claim.nodeId}, and has lost its cluster's tag`;
    case "marked":
      return (
        `it has ${machine.marks.join(" and ")}, no cluster's tag, and is not in the ledger: ` +
        "give it back its tag flotilla:cluster or delete it by hand"
      );
    case "bare":
      return "it has nothing of ours";
  }
}
