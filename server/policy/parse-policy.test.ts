import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_POLICY, PlatformError } from "../../core/index.ts";
import { parsePolicy } from "./parse-policy.ts";

/** The message of the refusal of a text. */
function refusalOf(text: string): string {
  try {
    parsePolicy(text, "p.yaml");
  } catch (error) {
    expect(error).toBeInstanceOf(PlatformError);
    expect((error as PlatformError).code).toBe("invalid_request");
    return (error as PlatformError).message;
  }
  throw new Error(`not refused: ${text}`);
}

const EVERYTHING = `
optimizer:
  solver: glpk
  solveTimeLimitSeconds: 7.5
  gapFraction: 0.01
  budgetUsdPerHourMax: 120.5
  clouds: [aws, gcp]
  regions: [eu-west-1]
  spotAllowed: false
  shares:
    - { of: cloud, name: aws, minFraction: 0.1, maxFraction: 0.6 }
  concentration:
    - { of: zone, freeFraction: 0.5, usdPerGpuHour: 0.25 }
  ignoredTerms: [egress, churn]
  interruptionUsd: 3
  churnUsd: 0.2
  horizonHours: 2.5
  egressUsdPerGib: { aws: 0.02 }
  regionUsdPerContainerHour: { eu-west-1: 0.01 }
  gpuPreferencePenaltyFraction: 0.1
  hysteresisFraction: 0.2
  unmetUsdPerHour: 77
  buffers:
    waitUsdPerGpuHour: 30
    quantileMin: 0.6
    quantileMax: 0.95
    missFractionTarget: 0.01
    byGpuType: { H100: { gpuCountMin: 1, gpuCountMax: 4 } }
pool:
  launchTimeoutSeconds: 1
  registrationTimeoutSeconds: 2
  heartbeatTimeoutSeconds: 3.5
  idleReleaseSeconds: 4
  drainTimeoutSeconds: 5
  refusalTtlSeconds: 6
  actionCountMaxPerTick: 7
  nodeCountMax: 8
  standInPriceFactorMax: 1.25
  atRisk: keep
  launchesPerSecondMax: 9.5
  launchBurstMax: 10
  unhealthyFractionMax: 0.5
  budgetUsdPerMonth: 1000
  consolidation:
    disruptionFractionMax: 0.25
    savingRatioMin: 3
    horizonHours: 2
    restartUsd: 0.5
    validateSeconds: 20
    periodSeconds: 30
scheduler:
  strategy: best-fit
  quotas: { research: { guaranteedFraction: 0.2, maxFraction: 0.5, gpuCountMax: 8, weight: 2 } }
  patienceSeconds: 9
  reservedFractionMax: 0.2
  evictionCountMaxPerRound: 3
  repack:
    allowed: true
    everySeconds: 20
    moveCountMax: 2
    gpuCountMax: 4
    drainTimeoutSeconds: 5
`;

describe("parsePolicy", () => {
  it("takes every default from the default policy", () => {
    for (const text of ["", "# nothing\n", "optimizer: {}\npool: {}\n"]) {
      expect(parsePolicy(text, "p.yaml").policy).toEqual(DEFAULT_POLICY);
    }
  });

  it("reads human units into those of the core", () => {
    expect(parsePolicy(EVERYTHING, "p.yaml").policy).toEqual({
      optimizer: {
        solver: "glpk",
        solveTimeLimitMs: 7_500,
        gapFraction: 0.01,
        budgetMicroUsdPerHourMax: 120_500_000,
        clouds: ["aws", "gcp"],
        regions: ["eu-west-1"],
        spotAllowed: false,
        shares: [{ of: "cloud", name: "aws", minFraction: 0.1, maxFraction: 0.6 }],
        concentration: [{ of: "zone", freeFraction: 0.5, microUsdPerGpuHour: 250_000 }],
        ignoredTerms: ["egress", "churn"],
        interruptionMicroUsd: 3_000_000,
        churnMicroUsd: 200_000,
        horizonMs: 9_000_000,
        egressMicroUsdPerGib: { aws: 20_000 },
        regionMicroUsdPerContainerHour: { "eu-west-1": 10_000 },
        gpuPreferencePenaltyFraction: 0.1,
        hysteresisFraction: 0.2,
        unmetMicroUsdPerHour: 77_000_000,
        buffers: {
          waitMicroUsdPerGpuHour: 30_000_000,
          quantileMin: 0.6,
          quantileMax: 0.95,
          missFractionTarget: 0.01,
          byGpuType: { H100: { gpuCountMin: 1, gpuCountMax: 4 } },
        },
      },
      pool: {
        launchTimeoutMs: 1_000,
        registrationTimeoutMs: 2_000,
        heartbeatTimeoutMs: 3_500,
        idleReleaseMs: 4_000,
        drainTimeoutMs: 5_000,
        refusalTtlMs: 6_000,
        actionCountMaxPerTick: 7,
        nodeCountMax: 8,
        standInPriceFactorMax: 1.25,
        atRisk: "keep",
        launchesPerSecondMax: 9.5,
        launchBurstMax: 10,
        unhealthyFractionMax: 0.5,
        budgetMicroUsdPerMonth: 1_000_000_000,
        consolidation: {
          disruptionFractionMax: 0.25,
          savingRatioMin: 3,
          horizonMs: 7_200_000,
          restartMicroUsd: 500_000,
          validateMs: 20_000,
          periodMs: 30_000,
        },
      },
      scheduler: {
        strategy: "best-fit",
        quotas: {
          research: { guaranteedFraction: 0.2, maxFraction: 0.5, gpuCountMax: 8, weight: 2 },
        },
        patienceMs: 9_000,
        reservedFractionMax: 0.2,
        evictionCountMaxPerRound: 3,
        repack: {
          allowed: true,
          everyMs: 20_000,
          moveCountMax: 2,
          gpuCountMax: 4,
          drainTimeoutMs: 5_000,
        },
      },
    });
  });

  it("can set every field that the core policy has", () => {
    const { optimizer, pool, scheduler } = parsePolicy(EVERYTHING, "p.yaml").policy;
    for (const [section, defaults] of [
      [optimizer, DEFAULT_POLICY.optimizer],
      [pool, DEFAULT_POLICY.pool],
      [scheduler, DEFAULT_POLICY.scheduler],
    ] as const) {
      expect(Object.keys(section)).toEqual(expect.arrayContaining(Object.keys(defaults)));
      for (const [field, value] of Object.entries(defaults)) {
        expect(new Map(Object.entries(section)).get(field), field).not.toEqual(value);
      }
    }
  });

  it("names each mistake with its line, what is allowed and what is near", () => {
    const text = [
      "optimizer:",
      "  budget: 3",
      "  spotAllowed: no",
      "  solver: hihgs",
      "  gapFraction: 20%",
      "  clouds: [aws, gpc]",
      "  hysteresisFraction: 5",
      "  buffers:",
      "    byGpuType: { H10O: { gpuCountMin: 1 } }",
      "pol: {}",
    ].join("\n");
    const message = refusalOf(text);
    for (const expected of [
      "p.yaml has 8 mistakes:",
      "line 2, column 3: optimizer.budget: unknown key; did you mean budgetUsdPerHourMax?",
      'line 3, column 16: optimizer.spotAllowed: takes true or false, not "no" (did you mean false?)',
      'line 4, column 11: optimizer.solver: takes one of highs, glpk, javascript-lp, not "hihgs" (did you mean highs?)',
      'line 5, column 16: optimizer.gapFraction: takes a number from 0 to 1, not "20%" (did you mean 0.2?)',
      'line 6, column 17: optimizer.clouds[1]: takes one of aws, gcp, azure, lambda, vast, local, fake, not "gpc" (did you mean gcp?)',
      "line 7, column 23: optimizer.hysteresisFraction: takes a number from 0 to 1, not 5",
      "line 9, column 18: optimizer.buffers.byGpuType.H10O: unknown key; did you mean H100?",
      "line 10, column 1: pol: unknown key; did you mean pool? allowed: optimizer, pool, scheduler",
    ]) {
      expect(message).toContain(expected);
    }
  });

  it.each([
    ["a tab", "optimizer:\n\tsolver: highs", "line 2, column 1: Tabs are not allowed"],
    ["an open list", "optimizer:\n  clouds: [aws", "line 2"],
    ["a key twice", "pool: {}\npool: {}", "line 2, column 1: Map keys must be unique"],
    ["two documents", "pool: {}\n---\npool: {}", "multiple documents"],
    ["an unknown tag", "pool: !secret {}", "line 1, column 7: Unresolved tag"],
    ["a list", "- 1", "line 1, column 1: takes a map of keys to values, not a list"],
    ["a text", "hello", 'takes a map of keys to values, not "hello"'],
    ["an empty section", "optimizer:\n", "optimizer: takes a map of keys to values, not nothing"],
    ["a negative price", "optimizer:\n  churnUsd: -1", "takes a number >= 0, not -1"],
    ["no number", "optimizer:\n  churnUsd: .nan", "takes a number >= 0, not NaN"],
    ["no end", "optimizer:\n  churnUsd: .inf", "takes a number >= 0, not Infinity"],
    ["half a node", "pool:\n  nodeCountMax: 1.5", "takes a whole number >= 0, not 1.5"],
    ["a missing field", "optimizer:\n  shares: [{ of: cloud }]", "shares[0].name: is missing"],
    ["no cloud", "optimizer:\n  clouds: []", "takes a list with at least one entry, not an empty"],
    ["an escape in a key", 'optimizer: { "a\\u001b[2J": 1 }', "optimizer.a?[2J: unknown key"],
  ])("refuses %s", (_name, text, expected) => {
    const message = refusalOf(text);
    expect(message).toMatch(/^p\.yaml(,| has)/);
    expect(message).toContain(expected);
  });

  it.each([
    [
      "a share that contradicts itself",
      "shares: [{ of: cloud, name: aws, minFraction: 0.9, maxFraction: 0.5 }]",
      "shares[0].minFraction: 0.9 is above the same rule's maxFraction 0.5",
    ],
    [
      "a share of what is not allowed",
      "clouds: [aws]\n  shares: [{ of: cloud, name: gcp, minFraction: 0.1 }]",
      "shares[0].minFraction: must have a share, but clouds does not allow gcp",
    ],
    [
      "a share of spot without spot",
      "spotAllowed: false\n  shares: [{ of: purchase, name: spot, minFraction: 0.1 }]",
      "must have a share, but spotAllowed does not allow spot",
    ],
    [
      "shares of more than all",
      "shares:\n    - { of: region, name: a, minFraction: 0.6 }\n    - { of: region, name: b, minFraction: 0.6 }",
      "line 3, column 5: optimizer.shares: the minFractions of region shares add up to 1.2",
    ],
    [
      "shares of less than all",
      "clouds: [aws]\n  shares: [{ of: cloud, name: aws, maxFraction: 0.5 }]",
      "nothing could be rented",
    ],
    [
      "two rules for one thing",
      "shares:\n    - { of: region, name: a, minFraction: 0.1 }\n    - { of: region, name: a, maxFraction: 0.6 }",
      "line 4, column 27: optimizer.shares[1].name: shares[0] has a rule for the same region",
    ],
    ["a share without a bound", "shares: [{ of: region, name: a }]", "states neither"],
    [
      "a purchase option that is none",
      "shares: [{ of: purchase, name: sport, maxFraction: 0.1 }]",
      "shares[0].name: takes one of on-demand, spot, reserved",
    ],
    ["quantiles upside down", "buffers: { quantileMin: 0.9, quantileMax: 0.5 }", "0.9 is above"],
    [
      "buffers upside down",
      "buffers: { byGpuType: { L4: { gpuCountMin: 3, gpuCountMax: 2 } } }",
      "buffers.byGpuType.L4.gpuCountMin: 3 is above gpuCountMax 2",
    ],
  ])("refuses rules that contradict: %s", (_name, rules, expected) => {
    expect(refusalOf(`optimizer:\n  ${rules}\n`)).toContain(expected);
  });

  it.each([
    [
      "a guarantee above the limit",
      "{ a: { guaranteedFraction: 0.6, maxFraction: 0.5 } }",
      "0.6 is above",
    ],
    [
      "more promised than there is",
      "{ a: { guaranteedFraction: 0.6 }, b: { guaranteedFraction: 0.6 } }",
      "scheduler.quotas: the guaranteedFractions add up to 1.2, more than 1",
    ],
    ["a weight of nothing", "{ a: { weight: 0 } }", "quotas.a.weight: takes a number from 0.001"],
  ])("refuses quotas that nobody can keep: %s", (_name, quotas, expected) => {
    expect(refusalOf(`scheduler:\n  quotas: ${quotas}\n`)).toContain(expected);
  });

  it("does not unfold aliases without end or nest without end", () => {
    const bomb = ["a: &a [1,1,1,1,1,1,1,1]"];
    for (const [from, to] of ["ab", "bc", "cd", "de", "ef"]) {
      bomb.push(`${to ?? ""}: &${to ?? ""} [${`*${from ?? ""},`.repeat(8)}1]`);
    }
    expect(refusalOf(bomb.join("\n"))).toContain("p.yaml");
    expect(refusalOf("[".repeat(20_000))).toContain("p.yaml");
  });

  it("answers any text with a policy or with a refusal", () => {
    const words = fc.constantFrom("optimizer", "pool", ":", " ", "\n", "  ", "[", "]", "{", "&a");
    const text = fc.array(fc.oneof(words, fc.string()), { maxLength: 30 });
    fc.assert(
      fc.property(text, (parts) => {
        try {
          parsePolicy(parts.join(""), "p.yaml");
        } catch (error) {
          expect(error).toBeInstanceOf(PlatformError);
        }
      }),
    );
  });
});
