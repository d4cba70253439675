/**
 * RunInstances: all the checks of a launch, in EC2's order, and its idempotency.
 *
 * A client token stands for one launch in one region and requested zone: the same parameters
 * give the same instances again, in their present state, or `IdempotentInstanceTerminated` once
 * they are terminated; others give `IdempotentParameterMismatch`. A launch that failed leaves
 * its token free.
 */
import type { Candidate } from "../capacity.ts";
import { Ec2Error } from "../ec2-error.ts";
import type { LaunchSpec } from "../instance.ts";
import { priceUsdPerHour } from "../market.ts";
import type { QueryParams } from "../query.ts";
import { zonesOf, type ActionHandler, type TokenUse, type World } from "../world.ts";
import type { XmlValue } from "../xml.ts";
import { reservationXml } from "./instance-xml.ts";
import { readLaunch, type WantedLaunch } from "./launch-spec.ts";

export const runInstances: ActionHandler = (world, request) => {
  const wanted = readLaunch(request);
  const { clientToken, region } = wanted.spec;
  const key = `${region}/${wanted.zone ?? "*"}/${clientToken ?? ""}`;
  const fingerprint = fingerprintOf(request.params);
  const use = clientToken === undefined ? undefined : world.tokens.get(key);
  if (use !== undefined) return replay(use, fingerprint);
  checkSold(wanted);
  checkPrice(world, wanted);
  if (wanted.dryRun) throw dryRun();
  checkQuota(world, { ...wanted, countMax: wanted.countMin });
  const { zone, count } = placeOf(world, wanted);
  const instances = world.fleet.launch({ ...wanted.spec, zone }, count);
  if (clientToken !== undefined) world.tokens.set(key, { fingerprint, instances });
  return reservationXml(instances);
};

function replay(use: TokenUse, fingerprint: string): Readonly<Record<string, XmlValue>> {
  if (use.fingerprint !== fingerprint) throw mismatch();
  if (use.instances.some(({ state }) => state !== "terminated")) {
    return reservationXml(use.instances);
  }
  throw new Ec2Error(
    "IdempotentInstanceTerminated",
    "The client token of this request belongs to instances that have been terminated.",
  );
}

/** The error for a used token with other parameters. */
export function mismatch(): Ec2Error {
  return new Ec2Error(
    "IdempotentParameterMismatch",
    "Arguments on this idempotent request are inconsistent with arguments used in previous " +
      "request(s).",
  );
}

/** What a mutating action answers to `DryRun` when it would have succeeded. */
export function dryRun(): Ec2Error {
  const message = "Request would have succeeded, but DryRun flag is set.";
  return new Ec2Error("DryRunOperation", message, 412);
}

/** The parameters that must be equal under one token; the zone is part of the token's key. */
export function fingerprintOf(params: QueryParams): string {
  const left = ["ClientToken", "Placement.AvailabilityZone", "DryRun"];
  return JSON.stringify([...params].filter(([name]) => !left.includes(name)).sort());
}

function checkSold({ spec, zone }: WantedLaunch): void {
  const { region, shape, market } = spec;
  if (zone !== undefined && !zonesOf(region).includes(zone)) {
    const message = `Invalid availability zone: [${zone}]`;
    throw new Ec2Error("InvalidParameterValue", message);
  }
  if (priceUsdPerHour(region, shape.instanceType, market) !== undefined) return;
  throw new Ec2Error(
    "Unsupported",
    `Your requested instance type (${shape.instanceType}) is not supported as ${market} in your ` +
      `requested Availability Zone (${zone ?? region}).`,
  );
}

function checkPrice(world: World, { spec, zone, spotUsdPerHourMax }: WantedLaunch): void {
  if (spec.market !== "spot" || spotUsdPerHourMax === undefined) return;
  const { region, shape } = spec;
  const prices = (zone === undefined ? zonesOf(region) : [zone]).flatMap((one) => {
    const place = { region, instanceType: shape.instanceType, zone: one };
    return world.spot.priceAt(place, world.clock.nowMs())?.usdPerHour ?? [];
  });
  const price = Math.min(...prices);
  if (spotUsdPerHourMax >= price) return;
  throw new Ec2Error(
    "SpotMaxPriceTooLow",
    `Your Spot request price of ${spotUsdPerHourMax} is lower than the minimum required Spot ` +
      `request fulfillment price of ${price}.`,
  );
}

/**
 * How many of the wanted instances the quota allows. @throws Ec2Error when not even `countMin`
 */
export function checkQuota(
  world: World,
  { spec, countMin, countMax }: Pick<WantedLaunch, "spec" | "countMin" | "countMax">,
): number {
  const anywhere: LaunchSpec = { ...spec, zone: "" };
  const quota = world.capacity.quota(anywhere, world.fleet.all());
  if (quota === undefined) return countMax;
  const { vcpuCountMax, vcpuCountUsed } = quota;
  const allowed = Math.floor((vcpuCountMax - vcpuCountUsed) / spec.shape.vcpuCount);
  if (allowed >= countMin) return Math.min(allowed, countMax);
  if (spec.market === "spot") {
    throw new Ec2Error("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded");
  }
  throw new Ec2Error(
    "VcpuLimitExceeded",
    `You have requested more vCPU capacity than your current vCPU limit of ${vcpuCountMax} allows ` +
      "for the instance bucket that the specified instance type belongs to.",
  );
}

/** The first zone that has enough, and how many of the wanted instances it has. */
function placeOf(
  world: World,
  wanted: WantedLaunch,
): { readonly zone: string; readonly count: number } {
  const { spec, countMin, countMax } = wanted;
  const zones = wanted.zone === undefined ? zonesOf(spec.region) : [wanted.zone];
  for (const zone of zones) {
    const available = availableIn(world, { ...spec, zone });
    if (available >= countMin) return { zone, count: Math.min(countMax, available) };
  }
  throw shortOf(spec.shape.instanceType, wanted.zone ?? spec.region);
}

/** How many more instances of this kind its zone has. */
export function availableIn({ capacity, fleet, clock }: World, spec: Candidate): number {
  return capacity.available(spec, fleet.all(), clock.nowMs());
}

/** The error for a type that a zone or region has no more of. */
export function shortOf(instanceType: string, place: string): Ec2Error {
  return new Ec2Error(
    "InsufficientInstanceCapacity",
    `We currently do not have sufficient ${instanceType} capacity in the Availability Zone you ` +
      `requested (${place}). Our system will be working on provisioning additional capacity.`,
    500,
  );
}
