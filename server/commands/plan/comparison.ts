/** Two plans side by side: the one as given and the one under changes. */
import { usd, type LineDocument, type PlanDocument } from "./plan-document.ts";

/** A figure in both plans; `difference` is the second less the first. */
export interface Compared {
  readonly asGiven: number;
  readonly whatIf: number;
  readonly difference: number;
}

export type ComparedLine = Compared &
  Pick<LineDocument, "offerId" | "cloud" | "region" | "zone" | "instanceType" | "purchase">;

export type ComparedUnmet = Compared & {
  readonly classId: string;
  readonly scenarioId: string;
  /** Why it is unmet under the changes, or else as given. */
  readonly reason: string;
};

/** How two plans differ. */
export interface Comparison {
  readonly objectiveUsdPerHour: Compared;
  readonly boundUsdPerHour: Compared;
  /** Terms that are not 0 in both plans, in the order of the plan. */
  readonly terms: Readonly<Record<string, Compared>>;
  /** Lines whose counts differ, by offer. */
  readonly lines: readonly ComparedLine[];
  /** Unmet demand that is not equal in both plans. */
  readonly unmet: readonly ComparedUnmet[];
}

/** The differences of two plans. O(lines + unmet). */
export function comparePlans(asGiven: PlanDocument, whatIf: PlanDocument): Comparison {
  const terms = [...new Set([...Object.keys(asGiven.terms), ...Object.keys(whatIf.terms)])]
    .map((term) => [term, compared(asGiven.terms[term], whatIf.terms[term])] as const)
    .filter(([, figure]) => figure.asGiven !== 0 || figure.whatIf !== 0);
  return {
    objectiveUsdPerHour: compared(asGiven.objectiveUsdPerHour, whatIf.objectiveUsdPerHour),
    boundUsdPerHour: compared(asGiven.boundUsdPerHour, whatIf.boundUsdPerHour),
    terms: Object.fromEntries(terms),
    lines: comparedLines(asGiven.lines, whatIf.lines),
    unmet: comparedUnmet(asGiven.unmet, whatIf.unmet),
  };
}

function compared(asGiven = 0, whatIf = 0): Compared {
  return { asGiven, whatIf, difference: usd(whatIf - asGiven) };
}

function comparedLines(
  asGiven: readonly LineDocument[],
  whatIf: readonly LineDocument[],
): readonly ComparedLine[] {
  return paired(asGiven, whatIf, ({ offerId }) => offerId).flatMap(([first, second]) => {
    const line = first ?? second;
    if (line === undefined || first?.count === second?.count) return [];
    const { offerId, cloud, region, zone, instanceType, purchase } = line;
    const counts = compared(first?.count, second?.count);
    if (counts.difference === 0) return [];
    return [{ offerId, cloud, region, zone, instanceType, purchase, ...counts }];
  });
}

function comparedUnmet(
  asGiven: PlanDocument["unmet"],
  whatIf: PlanDocument["unmet"],
): readonly ComparedUnmet[] {
  const key = ({ classId, scenarioId }: PlanDocument["unmet"][number]): string =>
    JSON.stringify([classId, scenarioId]);
  return paired(asGiven, whatIf, key).flatMap(([first, second]) => {
    const one = second ?? first;
    const quantities = compared(first?.quantity, second?.quantity);
    if (one === undefined || quantities.difference === 0) return [];
    const { classId, scenarioId, reason } = one;
    return [{ classId, scenarioId, ...quantities, reason }];
  });
}

/** Items of two lists with equal keys together, by key. */
function paired<Item>(
  first: readonly Item[],
  second: readonly Item[],
  keyOf: (item: Item) => string,
): readonly (readonly [Item | undefined, Item | undefined])[] {
  const firstByKey = new Map(first.map((item) => [keyOf(item), item]));
  const secondByKey = new Map(second.map((item) => [keyOf(item), item]));
  const keys = [...new Set([...firstByKey.keys(), ...secondByKey.keys()])].sort();
  return keys.map((key) => [firstByKey.get(key), secondByKey.get(key)] as const);
}
