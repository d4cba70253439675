/** Worlds whose cloud is an emulator behind the vendor's own SDK, on virtual time. */
import { assert, type Offer } from "../../core/index.ts";
import type { ChaosKnobs } from "../../pool/test-chaos.ts";
import { CloudWorld, type LifeOptions } from "../../pool/test-world.ts";
import { openAzureBench } from "../../providers/azure/test-bench.ts";
import { openGcpBench } from "../../providers/gcp/test-bench.ts";
import { nodeIdOf, tagsOf } from "../../providers/gcp/names.ts";
import type { ProviderNode } from "../../providers/index.ts";
import { CLUSTER, openAwsCloud } from "./clouds.ts";

/** One cloud, with what can be done to it. */
export interface WireCloud {
  /** Spot offers of one GPU type, of two types in each of two regions. */
  readonly offers: readonly Offer[];
  readonly knobs: ChaosKnobs;
  readonly openWorld: (options?: LifeOptions & { readonly tickMs?: number }) => CloudWorld;
  /** Requests for machines so far, those that failed included. */
  readonly rentCallCount: () => number;
  readonly close: () => Promise<void>;
}

type Tags = Readonly<Record<string, string>>;

function taggedNode(
  providerNodeId: string,
  tags: Tags,
  rest: Pick<ProviderNode, "state" | "launchedAtMs"> & { readonly nodeId?: string | undefined },
): ProviderNode {
  const { state, launchedAtMs, nodeId = tags["flotilla:node"] } = rest;
  const clientToken = tags["flotilla:batch"];
  return {
    ...{ providerNodeId, state, launchedAtMs, tags },
    ...(nodeId === undefined ? {} : { nodeId }),
    ...(clientToken === undefined ? {} : { clientToken }),
  };
}

/** Those of two regions that are of some types, each with the same number of GPUs. */
function chosen(offers: readonly Offer[], regions: readonly string[], types: RegExp): Offer[] {
  const own = offers.filter(
    ({ region, purchase, instanceType }) =>
      regions.includes(region) && purchase === "spot" && types.test(instanceType),
  );
  // One zone of each type in each region is enough.
  const firsts = Map.groupBy(own, ({ region, instanceType }) => `${region} ${instanceType}`);
  const one = [...firsts.values()].flatMap(([first]) => first ?? []);
  assert(one.length === 4, `four offers of ${types.source}, and not ${one.length}`);
  return one;
}

/**
 * What makes this part of all calls fail: a third each before it takes effect, after it, and after
 * it without an answer.
 */
function faultsOf<Before, After>(errors: number, before: Before, after: After) {
  const fraction = errors / 3;
  const faults = [
    { when: "before", effect: before, fraction },
    { when: "after", effect: after, fraction },
    { when: "after", effect: { kind: "reset" }, fraction },
  ] as const;
  return errors === 0 ? [] : faults;
}

/** AWS. */
export async function openWireAws(): Promise<WireCloud> {
  const regions = ["us-east-1", "us-west-2"];
  const bench = await openAwsCloud(regions);
  const { emulator, provider, clock } = bench;
  const states = {
    pending: "booting",
    running: "running",
    "shutting-down": "terminating",
    terminated: "terminated",
  } as const;
  const machines = (): readonly ProviderNode[] =>
    emulator.instances().map(({ region, instanceId, state, launchedAtMs, tags }) => {
      return taggedNode(`${region}/${instanceId}`, tags, { state: states[state], launchedAtMs });
    });
  const down = new Set<string>();
  let errors = 0;
  const setFaults = (): void => {
    emulator.clearFaults();
    for (const place of down) {
      emulator.injectFault({ when: "before", effect: { kind: "reset" }, fraction: 1, place });
    }
    const broken = { kind: "error", code: "InternalError", status: 500 } as const;
    // No throttles: their pauses are on the clock, which stands still within a tick.
    for (const fault of faultsOf(errors, broken, broken)) emulator.injectFault(fault);
  };
  const offers = chosen(await provider.listOffers(), regions, /^g4dn\.2?xlarge$/);
  const cloud = { clock, provider, offers, clusterId: CLUSTER, machines };
  return {
    offers,
    openWorld: ({ tickMs = 5_000, ...options } = {}) =>
      new CloudWorld({ ...cloud, tickMs, passingTime: (work) => work }, options),
    rentCallCount: () => countOf(emulator.journal(), ["CreateFleet", "RunInstances"]),
    knobs: {
      setCapacity: ({ instanceType, region }, instanceCountMax) => {
        emulator.setCapacity({ instanceType, region, market: "spot", instanceCountMax });
      },
      setRegionDown: (region, isDown) => {
        if (isDown) down.add(region);
        else down.delete(region);
        setFaults();
      },
      reclaim: (providerNodeId) => {
        const instanceId = providerNodeId.split("/")[1] ?? "";
        emulator.preempt({ instanceId });
      },
      setErrors: (fraction) => {
        errors = fraction;
        setFaults();
      },
    },
    close: () => bench.close(),
  };
}

/** Google Cloud. */
export async function openWireGoogleCloud(): Promise<WireCloud> {
  const bench = await openGcpBench();
  const { emulator, provider, clock, passingTime } = bench;
  const regions = ["us-central1", "europe-west4"];
  const machines = (): readonly ProviderNode[] =>
    emulator.instances().map((one) => {
      const { zone, name, instanceId, status, createdAtMs: launchedAtMs, labels } = one;
      const isUp = status === "RUNNING";
      const state = isUp ? "running" : status === "STAGING" ? "booting" : "terminating";
      const nodeId = nodeIdOf(name);
      const rest = { state, launchedAtMs, nodeId } as const;
      return taggedNode(`${zone}/${name}/${instanceId}`, tagsOf(labels), rest);
    });
  const offers = chosen(await passingTime(provider.listOffers()), regions, /^g2-standard-(4|8)$/);
  const cloud = { clock, provider, offers, clusterId: CLUSTER, machines, passingTime };
  const down = new Set<string>();
  return {
    offers,
    openWorld: ({ tickMs = 5_000, ...options } = {}) =>
      new CloudWorld({ ...cloud, tickMs }, options),
    rentCallCount: () => countOf(emulator.journal(), ["instances.insert", "instances.bulkInsert"]),
    knobs: {
      setCapacity: ({ instanceType, region }, instanceCountMax) => {
        emulator.setCapacity({ instanceType, region, market: "spot", instanceCountMax });
      },
      setRegionDown: (region, isDown) => {
        if (isDown) down.add(region);
        else down.delete(region);
        const zones = offers.flatMap(({ zone = "", region: of }) => (down.has(of) ? zone : []));
        emulator.configure({ unreachableZones: [...new Set(zones)] });
      },
      reclaim: (providerNodeId) => {
        emulator.preempt({ instanceId: providerNodeId.split("/")[2] ?? "" });
      },
      setErrors: (errors) => {
        emulator.clearFaults();
        const throttled = { kind: "error", reason: "rateLimitExceeded", status: 403 } as const;
        const broken = { kind: "error", reason: "backendError", status: 503 } as const;
        for (const fault of faultsOf(errors, throttled, broken)) emulator.injectFault(fault);
      },
    },
    close: () => bench.close(),
  };
}

/** Azure. */
export async function openWireAzure(): Promise<WireCloud> {
  const bench = await openAzureBench();
  const { emulator, provider, clock } = bench;
  const regions = ["eastus", "westeurope"];
  const machines = (): readonly ProviderNode[] =>
    emulator.machines().map((one) => {
      const { region, name, powerState, provisioningState, createdAtMs: launchedAtMs, tags } = one;
      const isUp = powerState === "running" && provisioningState !== "Deleting";
      const isBooting = provisioningState === "Creating";
      const state = isBooting ? "booting" : isUp ? "running" : "terminating";
      return taggedNode(`${region}/${name}`, tags, { state, launchedAtMs });
    });
  const offers = chosen(await provider.listOffers(), regions, /^Standard_NC[48]as_T4_v3$/);
  const cloud = { clock, provider, offers, clusterId: CLUSTER, machines };
  const down = new Set<string>();
  return {
    offers,
    openWorld: ({ tickMs = 5_000, ...options } = {}) =>
      new CloudWorld({ ...cloud, tickMs, passingTime: (work) => work }, options),
    rentCallCount: () => countOf(emulator.journal(), ["VirtualMachines.CreateOrUpdate"]),
    knobs: {
      setCapacity: ({ instanceType, region }, instanceCountMax) => {
        emulator.setCapacity({ instanceType, region, market: "spot", instanceCountMax });
      },
      setRegionDown: (region, isDown) => {
        if (isDown) down.add(region);
        else down.delete(region);
        emulator.configure({ downRegions: [...down] });
      },
      reclaim: (providerNodeId) => {
        emulator.evict(providerNodeId.split("/")[1] ?? "", { noticeMs: 30_000 });
      },
      setErrors: (errors) => {
        emulator.clearFaults();
        const throttled = { kind: "error", code: "TooManyRequests", status: 429 } as const;
        const broken = { kind: "error", code: "InternalServerError", status: 500 } as const;
        for (const fault of faultsOf(errors, throttled, broken)) emulator.injectFault(fault);
      },
    },
    close: () => bench.close(),
  };
}

/** All three, for tables of tests. */
export const WIRE_CLOUDS = [
  { name: "AWS", open: openWireAws },
  { name: "Google Cloud", open: openWireGoogleCloud },
  { name: "Azure", open: openWireAzure },
] as const;

function countOf(journal: readonly { readonly action: string }[], actions: readonly string[]) {
  return journal.filter(({ action }) => actions.includes(action)).length;
}
