/** Rules of a policy that no fleet can obey at once. */
import { assert } from "../../core/index.ts";

/** The part of a checked policy file in which rules can contradict each other. */
export interface Rules {
  readonly clouds?: readonly string[] | undefined;
  readonly regions?: readonly string[] | undefined;
  readonly spotAllowed: boolean;
  readonly shares: readonly Share[];
  readonly buffers: {
    readonly quantileMin: number;
    readonly quantileMax: number;
    readonly byGpuType: Readonly<Record<string, Bounds>>;
  };
}

interface Share {
  readonly of: "cloud" | "region" | "purchase";
  readonly name: string;
  readonly minFraction?: number | undefined;
  readonly maxFraction?: number | undefined;
}

interface Bounds {
  readonly gpuCountMin?: number | undefined;
  readonly gpuCountMax?: number | undefined;
}

interface Quota {
  readonly guaranteedFraction?: number | undefined;
  readonly maxFraction?: number | undefined;
}

/** A contradiction: the place of the rule that is in the way, and what it contradicts. */
export interface Contradiction {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

const PURCHASES = ["on-demand", "spot", "reserved"];
/** Shares may miss 1 by rounding. */
const TOLERANCE = 1e-9;

/** All contradictions; empty when some fleet can obey. O(shares squared). */
export function contradictions(rules: Rules): readonly Contradiction[] {
  return [
    ...shareContradictions(rules),
    ...(["cloud", "region", "purchase"] as const).flatMap((of) => sumContradictions(rules, of)),
    ...bufferContradictions(rules),
  ];
}

function shareContradictions(rules: Rules): readonly Contradiction[] {
  return rules.shares.flatMap((share, index) => {
    const { of, name, minFraction = 0, maxFraction = 1 } = share;
    const at = (field: string, message: string): readonly Contradiction[] => [
      { path: ["shares", index, field], message },
    ];
    if (of === "purchase" && !PURCHASES.includes(name)) {
      return at("name", `takes one of ${PURCHASES.join(", ")} where the share is of purchase`);
    }
    const first = rules.shares.findIndex((other) => other.of === of && other.name === name);
    if (first !== index) return at("name", `shares[${first}] has a rule for the same ${of}`);
    if (share.minFraction === undefined && share.maxFraction === undefined) {
      return [{ path: ["shares", index], message: "states neither minFraction nor maxFraction" }];
    }
    if (minFraction > maxFraction) {
      return at(
        "minFraction",
        `${minFraction} is above the same rule's maxFraction ${maxFraction}`,
      );
    }
    const names = namesAllowed(rules, of);
    if (minFraction > 0 && names?.includes(name) === false) {
      return at("minFraction", `must have a share, but ${ruleOf(of)} does not allow ${name}`);
    }
    return [];
  });
}

/** Least shares that add up to more than all, and greatest ones that add up to less. */
function sumContradictions(rules: Rules, of: Share["of"]): readonly Contradiction[] {
  const shares = rules.shares.filter((share) => share.of === of);
  const least = shares.reduce((sum, { minFraction = 0 }) => sum + minFraction, 0);
  if (least > 1 + TOLERANCE) {
    const message = `the minFractions of ${of} shares add up to ${short(least)}, more than 1`;
    return [{ path: ["shares"], message }];
  }
  const names = namesAllowed(rules, of);
  if (names === undefined) return [];
  const most = names.reduce((sum, name) => {
    const share = shares.find((one) => one.name === name);
    return sum + (share?.maxFraction ?? 1);
  }, 0);
  if (most >= 1 - TOLERANCE) return [];
  const message =
    `the maxFractions of ${of} shares add up to ${short(most)} over all that ${ruleOf(of)} ` +
    `allows (${names.join(", ")}): nothing could be rented`;
  return [{ path: ["shares"], message }];
}

/** All names there may be; undefined when there is no list. */
function namesAllowed(rules: Rules, of: Share["of"]): readonly string[] | undefined {
  if (of === "cloud") return rules.clouds;
  if (of === "region") return rules.regions;
  return PURCHASES.filter((purchase) => rules.spotAllowed || purchase !== "spot");
}

function ruleOf(of: Share["of"]): string {
  return of === "purchase" ? "spotAllowed" : `${of}s`;
}

function bufferContradictions({ buffers }: Rules): readonly Contradiction[] {
  const found: Contradiction[] = [];
  const { quantileMin, quantileMax, byGpuType } = buffers;
  if (quantileMin > quantileMax) {
    const message = `${quantileMin} is above quantileMax ${quantileMax}`;
    found.push({ path: ["buffers", "quantileMin"], message });
  }
  for (const [gpuType, { gpuCountMin = 0, gpuCountMax = Infinity }] of Object.entries(byGpuType)) {
    if (gpuCountMin <= gpuCountMax) continue;
    const message = `${gpuCountMin} is above gpuCountMax ${gpuCountMax}`;
    found.push({ path: ["buffers", "byGpuType", gpuType, "gpuCountMin"], message });
  }
  return found;
}

/** Contradictions of quotas by workspace: a guarantee above the limit, or more than all promised. */
export function quotaContradictions(
  quotas: Readonly<Record<string, Quota>>,
): readonly Contradiction[] {
  const found = Object.entries(quotas).flatMap(([workspaceId, quota]): readonly Contradiction[] => {
    const { guaranteedFraction = 0, maxFraction = 1 } = quota;
    if (guaranteedFraction <= maxFraction) return [];
    const message = `${guaranteedFraction} is above the same quota's maxFraction ${maxFraction}`;
    return [{ path: [workspaceId, "guaranteedFraction"], message }];
  });
  const promised = Object.values(quotas).reduce(
    (sum, { guaranteedFraction = 0 }) => sum + guaranteedFraction,
    0,
  );
  if (promised <= 1 + TOLERANCE) return found;
  const message = `the guaranteedFractions add up to ${short(promised)}, more than 1`;
  return [...found, { path: [], message }];
}

function short(sum: number): string {
  assert(Number.isFinite(sum), "a sum of fractions is finite");
  return String(Math.round(sum * 1e6) / 1e6);
}
