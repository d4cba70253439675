/**
 * CreateFleet of type `instant`: many types and zones in one call, answered at once.
 *
 * It takes what there is, override by override: by `Priority` for the strategies `prioritized`
 * and `capacity-optimized-prioritized`, by price for the others. What an override could not give
 * is an error in the answer, which is a success all the same: with some instances, or with none.
 *
 * A client token stands for one fleet in one region: the same parameters give the same answer
 * again, whatever has become of its instances; others give `IdempotentParameterMismatch`.
 */
import { instanceShape } from "../../../catalog/index.ts";
import { Ec2Error } from "../ec2-error.ts";
import { hex } from "../fleet.ts";
import type { Instance, LaunchSpec, Market } from "../instance.ts";
import { priceUsdPerHour } from "../market.ts";
import { memberOf, required, structsOf, wholeNumber, type QueryParams } from "../query.ts";
import { zonesOf, type ActionHandler, type LaunchTemplate, type World } from "../world.ts";
import type { XmlValue } from "../xml.ts";
import { clientTokenOf, instanceTagsOf, templateSpecOf } from "./launch-spec.ts";
import { referenceOf, wantTemplate } from "./launch-templates.ts";
import {
  availableIn,
  checkQuota,
  dryRun,
  fingerprintOf,
  mismatch,
  shortOf,
} from "./run-instances.ts";

/** One type in one zone, or in a zone of the cloud's choice, that will do. */
interface Override {
  readonly template: LaunchTemplate;
  readonly instanceType: string;
  readonly zone: string | undefined;
  readonly priority: number;
  readonly spotUsdPerHourMax: number | undefined;
  /** Its place in the request. */
  readonly position: number;
}

interface Wanted {
  readonly region: string;
  readonly market: Market;
  readonly count: number;
  readonly countMin: number;
  readonly overrides: readonly Override[];
  readonly tags: Readonly<Record<string, string>>;
}

interface Refusal {
  readonly override: Override;
  readonly error: Ec2Error;
}

export const createFleet: ActionHandler = (world, { region, params }) => {
  const clientToken = clientTokenOf(params);
  const key = `${region}/${clientToken ?? ""}`;
  const fingerprint = fingerprintOf(params);
  const use = clientToken === undefined ? undefined : world.fleetTokens.get(key);
  if (use !== undefined) {
    if (use.fingerprint === fingerprint) return use.answer;
    throw mismatch();
  }
  const wanted = readFleet(world, region, params);
  if (params.get("DryRun") === "true") throw dryRun();
  const answer = launchFleet(world, wanted);
  if (clientToken !== undefined) world.fleetTokens.set(key, { fingerprint, answer });
  return answer;
};

/** Source of the limits: EC2 API reference, CreateFleet, and EC2 Fleet quotas (read 2026-11). */
const OVERRIDE_COUNT_MAX = 300;
const TARGET_CAPACITY_MAX = 10_000;

function readFleet(world: World, region: string, params: QueryParams): Wanted {
  const type = params.get("Type");
  if (type !== "instant") {
    throw new Ec2Error("InvalidParameterValue", `this emulator has instant fleets, not ${type}`);
  }
  const target = "TargetCapacitySpecification";
  required(params, `${target}.TotalTargetCapacity`);
  const range = { min: 1, max: TARGET_CAPACITY_MAX };
  const count = wholeNumber(params, `${target}.TotalTargetCapacity`, range) ?? 1;
  const market = required(params, `${target}.DefaultTargetCapacityType`);
  if (market !== "spot" && market !== "on-demand") {
    throw new Ec2Error("InvalidParameterValue", `Invalid capacity type '${market}'`);
  }
  const section = market === "spot" ? "SpotOptions" : "OnDemandOptions";
  const overrides = readOverrides(world, region, params);
  const strategy = params.get(`${section}.AllocationStrategy`) ?? "lowest-price";
  const byPriority = strategy.endsWith("prioritized");
  const rank = (one: Override): number =>
    byPriority ? one.priority : (priceUsdPerHour(region, one.instanceType, market) ?? Infinity);
  return {
    region,
    market,
    count,
    countMin: wholeNumber(params, `${section}.MinTargetCapacity`, range) ?? 0,
    overrides: overrides.toSorted((a, b) => rank(a) - rank(b) || a.position - b.position),
    tags: instanceTagsOf(params),
  };
}

function readOverrides(world: World, region: string, params: QueryParams): readonly Override[] {
  const configs = structsOf(params, "LaunchTemplateConfigs");
  const overrides = configs.flatMap((config) => {
    const reference = referenceOf(memberOf(config, "LaunchTemplateSpecification"));
    const template = wantTemplate(world, region, reference);
    return structsOf(config, "Overrides").map((override) => ({ template, override }));
  });
  if (overrides.length === 0) {
    const message = "The request must contain the parameter LaunchTemplateConfigs.Overrides";
    throw new Ec2Error("MissingParameter", message);
  }
  if (overrides.length > OVERRIDE_COUNT_MAX) {
    const message = `A fleet has at most ${OVERRIDE_COUNT_MAX} overrides`;
    throw new Ec2Error("InvalidFleetConfig", message);
  }
  return overrides.map(({ template, override }, position) => ({
    template,
    instanceType: required(override, "InstanceType"),
    zone: override.get("AvailabilityZone"),
    priority: Number(override.get("Priority") ?? Infinity),
    spotUsdPerHourMax: override.has("MaxPrice") ? Number(override.get("MaxPrice")) : undefined,
    position,
  }));
}

function launchFleet(world: World, wanted: Wanted): Readonly<Record<string, XmlValue>> {
  const fleetId = `fleet-${[8, 4, 4, 4, 12].map((length) => hex(world.rng, length)).join("-")}`;
  const launched: { readonly override: Override; readonly instances: readonly Instance[] }[] = [];
  const refusals: Refusal[] = [];
  let left = wanted.count;
  for (const override of wanted.overrides) {
    if (left === 0) break;
    try {
      const instances = launchBy(world, wanted, { override, count: left, fleetId });
      if (instances.length > 0) launched.push({ override, instances });
      left -= instances.length;
      if (left > 0) refusals.push({ override, error: shortage(wanted, override) });
    } catch (error) {
      if (!(error instanceof Ec2Error)) throw error;
      refusals.push({ override, error });
    }
  }
  if (wanted.count - left < wanted.countMin) {
    const code = "Client.UserInitiatedShutdown";
    for (const one of launched.flatMap(({ instances }) => instances)) {
      world.fleet.terminate(one, { code, message: `${code}: the fleet's minimum was not reached` });
    }
    launched.length = 0;
  }
  return {
    fleetId,
    errorSet: refusals.map(({ override, error }) => ({
      launchTemplateAndOverrides: overrideXml(override),
      lifecycle: wanted.market,
      errorCode: error.code,
      errorMessage: error.message,
    })),
    fleetInstanceSet: launched.map(({ override, instances }) => ({
      launchTemplateAndOverrides: overrideXml(override),
      lifecycle: wanted.market,
      instanceIds: instances.map(({ instanceId }) => instanceId),
      instanceType: override.instanceType,
    })),
  };
}

/** As many instances as an override has; more than one zone is filled in order. */
function launchBy(
  world: World,
  wanted: Wanted,
  part: { readonly override: Override; readonly count: number; readonly fleetId: string },
): readonly Instance[] {
  const { region, market } = wanted;
  const { override, count, fleetId } = part;
  const shape = instanceShape("aws", override.instanceType);
  if (shape === undefined) {
    const message = `Invalid value '${override.instanceType}' for instanceType`;
    throw new Ec2Error("InvalidParameterValue", message);
  }
  if (priceUsdPerHour(region, override.instanceType, market) === undefined) {
    throw new Ec2Error(
      "Unsupported",
      `Your requested instance type (${override.instanceType}) is not supported in ${region}.`,
    );
  }
  const { tags, ...template } = templateSpecOf(override.template.data);
  const spec: Omit<LaunchSpec, "zone"> = {
    region,
    shape,
    market,
    ...template,
    clientToken: `${fleetId}-${override.position}`,
    tags: { ...tags, ...wanted.tags, "aws:ec2:fleet-id": fleetId },
  };
  const allowed = checkQuota(world, { spec, countMin: 1, countMax: count });
  const instances: Instance[] = [];
  for (const zone of override.zone === undefined ? zonesOf(region) : [override.zone]) {
    checkPrice(world, override, { ...spec, zone });
    const available = availableIn(world, { ...spec, zone });
    const here = Math.min(allowed - instances.length, available);
    if (here > 0) instances.push(...world.fleet.launch({ ...spec, zone }, here));
  }
  if (instances.length === 0) throw shortage(wanted, override);
  return instances;
}

function checkPrice(world: World, override: Override, { region, market, zone }: LaunchSpec): void {
  const { instanceType, spotUsdPerHourMax } = override;
  if (market !== "spot" || spotUsdPerHourMax === undefined) return;
  const price = world.spot.priceAt({ region, instanceType, zone }, world.clock.nowMs());
  if (spotUsdPerHourMax >= (price?.usdPerHour ?? 0)) return;
  throw new Ec2Error(
    "SpotMaxPriceTooLow",
    `Your Spot request price of ${spotUsdPerHourMax} is lower than the minimum required Spot ` +
      `request fulfillment price of ${price?.usdPerHour ?? 0}.`,
  );
}

function shortage({ region }: Wanted, { instanceType, zone }: Override): Ec2Error {
  return shortOf(instanceType, zone ?? region);
}

function overrideXml({ template, instanceType, zone, priority }: Override): XmlValue {
  return {
    launchTemplateSpecification: { launchTemplateId: template.templateId, version: "1" },
    overrides: {
      instanceType,
      availabilityZone: zone,
      priority: Number.isFinite(priority) ? priority : undefined,
    },
  };
}
