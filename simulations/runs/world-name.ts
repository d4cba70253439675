/** What a world is called: with its seed and the commit, this fixes a run. */
import { MS_PER_HOUR, MS_PER_SECOND } from "../../core/index.ts";
import { durationMsOf } from "../traces/trace.ts";
import type { World } from "../world.ts";
import { countText } from "../report/format.ts";
import { wantedPeakOf, type RunSpec } from "./run-spec.ts";

/** The scenario or trace, and every setting of the spec that is not the default. */
export function worldName(spec: RunSpec, world: World): string {
  const { scenario, trace, scale } = spec;
  const hours = durationMsOf(world.trace) / MS_PER_HOUR;
  const from = spec.fromHours ?? 0;
  const peak = wantedPeakOf(spec);
  const parts = [
    scenario === undefined ? undefined : said(trace, ({ file }) => `demand of ${file}`),
    spec.hours === undefined && from === 0
      ? undefined
      : `hours ${tidy(from)}–${tidy(from + hours)}`,
    said(peak, (gpus) => `peak ${countText(gpus)} GPUs`),
    said(scale, (factor) => `demand x${tidy(factor)}`),
    said(spec.functions, (count) => `${count} functions`),
    said(spec.zipfExponent, (exponent) => `Zipf ${tidy(exponent)}`),
    said(spec.gpu, (gpu) => gpu),
    said(spec.serviceMeanMs, (ms) => `service ${seconds(ms)}`),
    said(spec.serviceSigma, (sigma) => `sigma ${tidy(sigma)}`),
    said(spec.coldMs, (ms) => `cold start ${seconds(ms)}`),
    said(spec.snapshotMs, (ms) => `snapshot ${seconds(ms)}`),
    said(spec.scaledownWindowMs, (ms) => `scaledown ${seconds(ms)}`),
    said(spec.path, (path) => `${path} path`),
    said(spec.catalog, (catalog) => `offers of ${catalog}`),
    said(spec.spot, (spot) =>
      spot.kind === "calm" ? "calm spot" : `spot of ${spot.files.length} traces`,
    ),
    said(spec.bootMs, (ms) => `boot ${seconds(ms)}`),
    said(spec.controlMs, (ms) => `control ${seconds(ms)}`),
    said(spec.arrivalCv, (cv) => `CV ${tidy(cv)}`),
    spec.evictsIdle === false ? "idle containers kept" : undefined,
    said(spec.marketSeed, (seed) => `market seed ${seed}`),
  ].filter((part) => part !== undefined);
  return [world.name, ...parts].join(", ");
}

function said<Value>(value: Value | undefined, text: (value: Value) => string): string | undefined {
  return value === undefined ? undefined : text(value);
}

function seconds(ms: number): string {
  return `${tidy(ms / MS_PER_SECOND)} s`;
}

function tidy(value: number): string {
  return String(Math.round(value * 1_000) / 1_000);
}
