import { expect, test } from "vitest";
import { MS_PER_HOUR, MS_PER_MINUTE } from "../core/index.ts";
import {
  CLOUD_PROBE_MS,
  forget,
  openRefusals,
  REFUSAL_JITTER_FRACTION,
  refusalOf,
  remember,
  type RefusalMemory,
  type RefusedScope,
} from "./refusals.ts";
import { testOffer } from "./test-pool.ts";

const offer = testOffer();
const other = testOffer("other", { quotaGroups: ["q2"] });

function refuse(memory: RefusalMemory, scope: RefusedScope, nowMs: number): RefusalMemory {
  return remember(memory, { scope, reason: "none left", nowMs, firstTtlMs: 3 * MS_PER_MINUTE });
}

test("S11: refusals in a row are remembered for up to 3, 6, 12, 24, 30, 30 minutes", () => {
  let memory: RefusalMemory = [];
  let nowMs = 0;
  const minutes = [1, 2, 3, 4, 5, 6].map(() => {
    memory = refuse(memory, { kind: "offer", offerId: offer.offerId }, nowMs);
    const ttlMs = (memory[0]?.untilMs ?? 0) - nowMs;
    nowMs += ttlMs;
    expect(refusalOf(memory, offer, nowMs - 1)?.reason).toBe("none left");
    expect(refusalOf(memory, offer, nowMs)).toBeUndefined();
    return ttlMs / MS_PER_MINUTE;
  });
  for (const [index, fullMinutes] of [3, 6, 12, 24, 30, 30].entries()) {
    expect(minutes[index]).toBeLessThanOrEqual(fullMinutes);
    expect(minutes[index]).toBeGreaterThan(fullMinutes * (1 - REFUSAL_JITTER_FRACTION));
  }
});

test("what was refused together is not asked for again together, and always the same way", () => {
  const scopes = Array.from({ length: 50 }, (_, index) => ({
    kind: "offer" as const,
    offerId: `o${index}`,
  }));
  const all = () => scopes.reduce<RefusalMemory>((memory, scope) => refuse(memory, scope, 0), []);
  expect(new Set(all().map(({ untilMs }) => untilMs)).size).toBeGreaterThan(40);
  expect(all()).toEqual(all());
});

test("refusals of rents that were under way together count once", () => {
  const scope = { kind: "offer", offerId: offer.offerId } as const;
  const memory = refuse(refuse(refuse([], scope, 0), scope, 0), scope, 10);
  const [once] = refuse([], scope, 10);
  expect(memory).toEqual([once]);
});

test("a row ends after three quiet hours", () => {
  const scope = { kind: "offer", offerId: offer.offerId } as const;
  const once = refuse([], scope, 0);
  expect(refuse(once, scope, 3 * MS_PER_HOUR)).toMatchObject([{ count: 1 }]);
  expect(refuse(once, scope, 3 * MS_PER_HOUR - 1)).toMatchObject([{ count: 2 }]);
});

test("a quota binds every offer that counts against it, a cloud all of its offers", () => {
  const [quotaGroup = ""] = offer.quotaGroups;
  const quota = refuse([], { kind: "quota", quotaGroup }, 0);
  expect(refusalOf(quota, offer, 1)).toBeDefined();
  expect(refusalOf(quota, other, 1)).toBeUndefined();
  const cloud = refuse([], { kind: "cloud", cloud: "fake" }, 0);
  expect(refusalOf(cloud, other, 1)).toBeDefined();
  expect(refusalOf(cloud, testOffer("x", { cloud: "aws" }), 1)).toBeUndefined();
});

test("a success forgets what was refused of that offer, its quotas and its cloud", () => {
  const [quotaGroup = ""] = offer.quotaGroups;
  let memory = refuse([], { kind: "quota", quotaGroup }, 0);
  memory = refuse(memory, { kind: "cloud", cloud: "fake" }, 0);
  memory = refuse(memory, { kind: "offer", offerId: other.offerId }, 0);
  expect(forget(memory, offer).map((one) => one.key)).toEqual([`offer ${other.offerId}`]);
  expect(openRefusals(memory, CLOUD_PROBE_MS)).toEqual([]);
});

test("an account that may not rent is tried again every five minutes, however often it refused", () => {
  let memory: RefusalMemory = [];
  for (let probe = 0; probe < 8; probe += 1) {
    const nowMs = probe * CLOUD_PROBE_MS;
    expect(refusalOf(memory, testOffer("x", { cloud: "fake" }), nowMs)).toBeUndefined();
    memory = refuse(memory, { kind: "cloud", cloud: "fake" }, nowMs);
    expect(memory.map(({ untilMs }) => untilMs)).toEqual([nowMs + CLOUD_PROBE_MS]);
  }
});
