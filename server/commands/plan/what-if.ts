/**
 * Changes to a situation as people write them, such as `region:us-east-1=gone`.
 *
 * A change that matches nothing is a mistake, never a change without effect.
 */
import { parse as parseYaml } from "yaml";
import { messageOf, microUsdFromUsd, PlatformError, type Offer } from "../../../core/index.ts";
import { nearestWord } from "../../../documents/index.ts";
import { checkPolicy } from "../../policy/parse-policy.ts";
import { quotaGroupsOf } from "./fleet-files.ts";
import { nearest } from "./nearest.ts";
import { policyPaths, withValueAt } from "./policy-path.ts";
import type { Situation } from "./situation.ts";

/** How each kind of change is written. */
export const CHANGE_FORMS = {
  price: "price:<offers>=x0.8 or =1.23 (USD per hour)",
  capacity: "capacity:<offers>=N (nodes that can be had)",
  quota: "quota:<group>=N (nodes)",
  region: "region:<name>=gone",
  cloud: "cloud:<name>=gone",
  demand: "demand:<class>=x1.5 or =N (containers)",
  policy: "policy:<path>=<value>, such as policy:optimizer.spotAllowed=false",
} as const;

type Kind = keyof typeof CHANGE_FORMS;

interface Change {
  readonly text: string;
  readonly target: string;
  readonly value: string;
}

type Apply = (situation: Situation, change: Change) => Situation;

const APPLY: Readonly<Record<Kind, Apply>> = {
  price: changePrice,
  capacity: changeCapacity,
  quota: changeQuota,
  region: (situation, change) => withoutPlace(situation, change, "region"),
  cloud: (situation, change) => withoutPlace(situation, change, "cloud"),
  demand: changeDemand,
  policy: changePolicy,
};

const USD_MAX = 1e9;

/**
 * The situation under one change.
 *
 * @throws PlatformError `invalid_request` that says how it is written, or which known thing is
 *   near the one that is named.
 */
export function applyChange(situation: Situation, text: string): Situation {
  const [, kind = "", target = "", value = ""] = /^([^:=]*):(.+)=([^=]*)$/s.exec(text) ?? [];
  if (!isKind(kind)) {
    const kinds = Object.keys(CHANGE_FORMS);
    const near = nearestWord(kind, kinds);
    const hint = near === undefined ? "" : ` (did you mean ${near}:?)`;
    const forms = Object.values(CHANGE_FORMS).map((form) => `  ${form}`);
    throw refusal(text, `is no change${hint}; a change is one of\n${forms.join("\n")}`);
  }
  return APPLY[kind](situation, { text, target: target.trim(), value: value.trim() });
}

function isKind(kind: string): kind is Kind {
  return Object.hasOwn(CHANGE_FORMS, kind);
}

function changePrice(situation: Situation, change: Change): Situation {
  const scale = scaleOf(change, "price");
  return withOffers(situation, change, (offer) => {
    const price = scale(offer.priceMicroUsdPerHour, microUsdFromUsd);
    return { ...offer, priceMicroUsdPerHour: Math.round(price) };
  });
}

function changeCapacity(situation: Situation, change: Change): Situation {
  const nodeCountMax = wholeNumberOf(change, "capacity");
  return withOffers(situation, change, (offer) => ({ ...offer, nodeCountMax }));
}

function changeQuota(situation: Situation, change: Change): Situation {
  const groups = quotaGroupsOf(situation.offers);
  if (!groups.includes(change.target)) {
    const none = groups.length === 0 ? "; the offers count against none" : "";
    throw refusal(
      change.text,
      `no offer counts against the quota group ${change.target}${nearest(change.target, groups)}${none}`,
    );
  }
  const limit = wholeNumberOf(change, "quota");
  return { ...situation, quotaLimits: { ...situation.quotaLimits, [change.target]: limit } };
}

/** Offers of the place go, and the nodes that are there now with them. */
function withoutPlace(situation: Situation, change: Change, by: "region" | "cloud"): Situation {
  if (change.value !== "gone") throw misread(change, by);
  const places = [...new Set(situation.offers.map((offer) => offer[by]))].sort();
  if (!places.some((place) => place === change.target)) {
    const hint = nearest(change.target, places) || `; there are ${places.slice(0, 10).join(", ")}`;
    throw refusal(change.text, `no offer is in the ${by} ${change.target}${hint}`);
  }
  const gone = new Set(
    situation.offers.filter((offer) => offer[by] === change.target).map(({ offerId }) => offerId),
  );
  return {
    ...situation,
    offers: situation.offers.filter(({ offerId }) => !gone.has(offerId)),
    fleet: situation.fleet.filter(({ offerId }) => !gone.has(offerId)),
  };
}

function changeDemand(situation: Situation, change: Change): Situation {
  const { demand } = situation;
  const ids = demand.classes.map(({ classId }) => classId);
  const matches = globOf(change.target);
  const chosen = new Set(ids.filter(matches));
  if (chosen.size === 0) {
    const hint = nearest(change.target, ids) || `; there are ${ids.slice(0, 10).join(", ")}`;
    throw refusal(change.text, `no demand class is ${change.target}${hint}`);
  }
  const scale = scaleOf(change, "demand");
  const scaled = (quantity: number): number => {
    const wanted = Math.round(scale(quantity, (amount) => amount));
    if (Number.isSafeInteger(wanted)) return wanted;
    throw refusal(change.text, `would want ${wanted} containers, more than can be counted`);
  };
  const scenarios = demand.scenarios.map((scenario) => ({
    ...scenario,
    quantity: {
      ...scenario.quantity,
      ...Object.fromEntries(
        [...chosen].map((id) => [id, scaled(scenario.quantity[id] ?? 0)] as const),
      ),
    },
  }));
  return { ...situation, demand: { ...demand, scenarios } };
}

function changePolicy(situation: Situation, change: Change): Situation {
  const paths = policyPaths();
  const value = yamlValueOf(change);
  const policyRaw = withValueAt(situation.policyRaw, change.target, value);
  if (policyRaw === undefined) {
    const last = change.target.split(".").at(-1) ?? "";
    const sameName = paths.find((path) => path.endsWith(`.${last}`));
    const near = nearest(change.target, sameName === undefined ? paths : [sameName]);
    throw refusal(change.text, `the policy has no ${change.target}${near}`);
  }
  const policy = checkPolicy(policyRaw, `--what-if ${change.text}`);
  const { horizonMs, ...demand } = situation.demand;
  const { timeLimitMs, ...rest } = situation;
  return {
    ...rest,
    // What is asked for here goes before what the demand file and the command line say.
    ...(timeLimitMs === undefined || change.target === "optimizer.solveTimeLimitSeconds"
      ? {}
      : { timeLimitMs }),
    demand:
      horizonMs === undefined || change.target === "optimizer.horizonHours"
        ? demand
        : { ...demand, horizonMs },
    policy,
    policyRaw,
  };
}

function yamlValueOf(change: Change): unknown {
  try {
    return parseYaml(change.value, { prettyErrors: false });
  } catch (error) {
    throw refusal(change.text, `the value is no YAML: ${messageOf(error)}`);
  }
}

/** The offers a pattern names, changed; the others as they are. */
function withOffers(
  situation: Situation,
  { text, target }: Change,
  changed: (offer: Offer) => Offer,
): Situation {
  const matches = globOf(target);
  let count = 0;
  const offers = situation.offers.map((offer) => {
    if (!namesOf(offer).some(matches)) return offer;
    count += 1;
    return changed(offer);
  });
  if (count > 0) return { ...situation, offers };
  const names = [...new Set(situation.offers.flatMap(namesOf))];
  throw refusal(text, `no offer matches ${target}${nearest(target, names)}`);
}

/** What a pattern for offers is held against. */
function namesOf({ offerId, cloud, region, instanceType }: Offer): readonly string[] {
  return [offerId, `${cloud}/${region}/${instanceType}`];
}

/** A whole-text match: `*` is any run of characters (slashes too), `?` any one. */
function globOf(pattern: string): (text: string) => boolean {
  const source = pattern
    .replace(/[\\^$.+()[\]{}|/]/g, "\\$&")
    .replace(/\*+/g, ".*")
    .replace(/\?/g, ".");
  const expression = new RegExp(`^${source}$`, "su");
  return (text) => expression.test(text);
}

/** `x1.5` multiplies; a bare number replaces, in the unit of `toUnit`. */
function scaleOf(
  change: Change,
  kind: Kind,
): (present: number, toUnit: (amount: number) => number) => number {
  const [, times, digits] = /^(x?)(\d+(?:\.\d+)?)$/.exec(change.value) ?? [];
  const amount = Number(digits);
  if (digits === undefined || amount > USD_MAX) throw misread(change, kind);
  return (present, toUnit) => (times === "x" ? present * amount : toUnit(amount));
}

function wholeNumberOf(change: Change, kind: Kind): number {
  if (/^\d{1,15}$/.test(change.value)) return Number(change.value);
  throw misread(change, kind);
}

function misread(change: Change, kind: Kind): PlatformError {
  return refusal(change.text, `"${change.value}" is not understood; write ${CHANGE_FORMS[kind]}`);
}

function refusal(text: string, message: string): PlatformError {
  const shown = text.replace(/\p{C}/gu, "?").slice(0, 200);
  return new PlatformError(`--what-if ${shown}: ${message}`, {
    code: "invalid_request",
    retryable: false,
  });
}
