import { readFileSync } from "node:fs";
import { expect, it, test } from "vitest";
import type { Allowed } from "../../documents/index.ts";
import { readParameters, withSettings } from "./params.ts";
import type { PolicySpace } from "./policy-places.ts";

const SCHEMA = new URL("../../docs/policy.schema.json", import.meta.url);

const space: PolicySpace = {
  schema: JSON.parse(readFileSync(SCHEMA, "utf8")) as Allowed,
  keys: { "optimizer.buffers.byGpuType": ["H100", "A100-80GB"] },
};

/** What a policy file holds once a parameter is set. */
function set(text: string, value: number | string | boolean, raw: unknown = {}): unknown {
  const parameters = readParameters(text, space);
  const settings = Object.fromEntries(parameters.map(({ name }) => [name, value]));
  return withSettings(raw, parameters, settings);
}

test.each<[string, number | string | boolean, unknown]>([
  ["optimizer.churnUsd=0..1", 0.5, { optimizer: { churnUsd: 0.5 } }],
  ["churnUsd=0..1", 0.5, { optimizer: { churnUsd: 0.5 } }],
  ["buffers.quantileMax=0.5..0.999", 0.9, { optimizer: { buffers: { quantileMax: 0.9 } } }],
  ["pool.idleReleaseSeconds=30..600", 60, { pool: { idleReleaseSeconds: 60 } }],
  ["scheduler.strategy=fgd|spread", "fgd", { scheduler: { strategy: "fgd" } }],
  ["spotAllowed=true|false", false, { optimizer: { spotAllowed: false } }],
  [
    "spot.maxShare=0..1",
    0.4,
    { optimizer: { shares: [{ of: "purchase", name: "spot", maxFraction: 0.4 }] } },
  ],
  [
    "shares.region.eu-west-1.minFraction=0..1",
    0.2,
    { optimizer: { shares: [{ of: "region", name: "eu-west-1", minFraction: 0.2 }] } },
  ],
  [
    "buffers.byGpuType.*.gpuCountMin=0..9",
    3,
    {
      optimizer: {
        buffers: { byGpuType: { H100: { gpuCountMin: 3 }, "A100-80GB": { gpuCountMin: 3 } } },
      },
    },
  ],
  [
    "buffers.byGpuType.H100.gpuCountMin=0..9",
    3,
    { optimizer: { buffers: { byGpuType: { H100: { gpuCountMin: 3 } } } } },
  ],
])("%s sets what it says", (text, value, expected) => {
  expect(set(text, value)).toEqual(expected);
});

it("sets the quantile through both of its bounds, and gives waiting a price if it has none", () => {
  const wanted = { quantileMin: 0.9, quantileMax: 0.9 };
  expect(set("buffers.*.quantile=0.5..0.999", 0.9)).toEqual({
    optimizer: { buffers: { ...wanted, waitUsdPerGpuHour: 60 } },
  });
  const raw = { optimizer: { buffers: { waitUsdPerGpuHour: 5 } } };
  expect(set("buffers.quantile=0.5..0.999", 0.9, raw)).toEqual({
    optimizer: { buffers: { ...wanted, waitUsdPerGpuHour: 5 } },
  });
});

it("changes one rule of a list, keeps the others, and leaves what it was given alone", () => {
  const rules = [
    { of: "cloud", name: "aws", maxFraction: 0.5 },
    { of: "purchase", name: "spot", minFraction: 0.1 },
  ];
  const raw = Object.freeze({ optimizer: Object.freeze({ shares: Object.freeze(rules) }) });
  expect(set("spot.maxShare=0..1", 0.4, raw)).toEqual({
    optimizer: { shares: [rules[0], { ...rules[1], maxFraction: 0.4 }] },
  });
});

it("reads ranges, scales, whole numbers and choices", () => {
  const text = "churnUsd=1e-3..1:log, pool.nodeCountMax=10..20, gapFraction=0.1|0.01";
  expect(readParameters(text, space).map(({ domain }) => domain)).toEqual([
    { kind: "range", from: 0.001, to: 1, isLog: true, isWhole: false },
    { kind: "range", from: 10, to: 20, isLog: false, isWhole: true },
    { kind: "choice", values: [0.1, 0.01] },
  ]);
});

test.each([
  ["", /take NAME=FROM\.\.TO or NAME=A\|B, not an empty entry/],
  ["churnUsd", /not "churnUsd"/],
  ["churnUsd=", /not "churnUsd="/],
  ["=0..1", /not "=0\.\.1"/],
  ["churnUsd=0..1,", /not an empty entry/],
  ["churnUsd=0..1 2", /not "churnUsd=0\.\.1 2"/],
  ["churnUsd=1..0", /1 is above 0/],
  ["churnUsd=1..1", /one value leaves nothing to choose/],
  ["churnUsd=1", /one value leaves nothing to choose/],
  ["churnUsd=0..1:log", /begins above 0/],
  ["churnUsd=1..2:cubic", /:cubic is no scale/],
  ["churnUsd=a..2", /"a" is no number/],
  ["churnUsd=..2", /"" is no number/],
  ["churnUsd=NaN..2", /"NaN" is no number/],
  ["churnUsd=0..Infinity", /"Infinity" is no number/],
  ["churnUsd=0x1..2", /"0x1" is no number/],
  ["churnUsd=-1..2", /-1 is outside of what policies allow; it takes a number >= 0/],
  ["buffers.quantileMax=0.5..1.5", /1\.5 is outside.*a number from 0 to 1/],
  ["launchesPerSecondMax=0..5", /0 is outside.*above 0/],
  ["nodeCountMax=1.5..3", /1\.5 is no whole number/],
  ["gapFraction=0.1|0.1", /there twice/],
  ["spotAllowed=yes|no", /"yes" is neither true nor false/],
  ["spotAllowed=0..1", /only numbers have a range/],
  ["solver=highs|gplk", /"gplk" is no choice \(did you mean glpk\?\); it takes one of highs/],
  ["optimizer.solver=highs..glpk", /only numbers have a range/],
  ["churnUds=0..1", /did you mean optimizer\.churnUsd\?/],
  ["buffers.quantilMax=0..1", /did you mean optimizer\.buffers\.quantileMax\?/],
  ["quantile=0..1", /did you mean .*quantile/],
  ["spot.maximum=0..1", /spot\.maximum is no setting/],
  ["spot.name=0..1", /spot\.name is no setting/],
  ["shares.planet.earth.maxFraction=0..1", /is no setting/],
  ["horizonHours=1..2", /may be optimizer\.horizonHours or pool\.consolidation\.horizonHours/],
  [
    "buffers.byGpuType.h100x.gpuCountMin=0..9",
    /h100x is no key of optimizer\.buffers\.byGpuType \(did you mean H100\?\)/,
  ],
  ["scheduler.quotas.*.weight=1..2", /this world has no keys of scheduler\.quotas for \*/],
  ["churnUsd=0..1,optimizer.churnUsd=0..2", /churnUsd and optimizer\.churnUsd both set/],
  ["buffers.quantile=0..1,buffers.quantileMin=0..1", /both set optimizer\.buffers\.quantileMin/],
  ["__proto__.x=0..1", /is no setting/],
  ["optimizer=0..1", /optimizer is no setting/],
  [Array.from({ length: 40 }, () => "churnUsd=0..1").join(","), /40 parameters are too many/],
])("%s is refused", (text, expected) => {
  expect(() => readParameters(text, space)).toThrow(expected);
});
