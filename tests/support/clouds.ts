/** The three clouds by their real adapters and SDKs over emulators, on virtual time. */
import { CreateTagsCommand, DeleteTagsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { createRng, type Offer } from "../../core/index.ts";
import { createAwsProvider } from "../../providers/aws/provider.ts";
import { GROUP, openAzureBench, SUBSCRIPTION } from "../../providers/azure/test-bench.ts";
import { startEc2Emulator, type Ec2Emulator } from "../../providers/emulators/ec2/index.ts";
import { createManualClock, type ManualClock } from "../../providers/fake/index.ts";
import { openGcpBench } from "../../providers/gcp/test-bench.ts";
import type { Provider } from "../../providers/index.ts";

/** The cluster whose machines the providers rent and see. */
export const CLUSTER = "cluster-1";
/** The tag that says so. */
const CLUSTER_TAG = "flotilla:cluster";
const REGION = "us-east-1";
const credentials = { accessKeyId: "AKIAFAKE", secretAccessKey: "fake" };

/** One cloud. */
export interface CloudBench {
  readonly clock: ManualClock;
  readonly provider: Provider;
  /** Two on-demand offers of one region that will do for one line, best first. */
  readonly offers: () => Promise<readonly Offer[]>;
  /** Calls that launch machines and took effect. */
  readonly launchCount: () => number;
  /** How many of them so many machines take at least. */
  readonly launchCountOf: (machineCount: number) => number;
  /** Ids of the machines that run, whatever tags they have. */
  readonly runningIds: () => readonly string[];
  /** Somebody puts another cluster's tag in the place of ours. */
  readonly takeTag: (providerNodeId: string) => Promise<void>;
  /** Somebody takes all tags off it and off its parts but those of these keys. */
  readonly stripTags: (providerNodeId: string, keptKeys?: readonly string[]) => Promise<void>;
  /** A desk of another cluster in the same account; closed with the bench. */
  readonly openAs: (clusterId: string) => Promise<Provider>;
  /** Calls that list machines so far. */
  readonly listCount: () => number;
  /** Lets time pass while a call waits for the cloud. */
  readonly passingTime: <T>(work: Promise<T>) => Promise<T>;
  readonly close: () => Promise<void>;
}

/** AWS, with its emulator for what is peculiar to it. */
export async function openAwsCloud(
  regions: readonly string[] = [REGION],
): Promise<CloudBench & { readonly emulator: Ec2Emulator }> {
  const clock = createManualClock(1_800_000_000_000);
  const emulator = await startEc2Emulator({ clock, seed: "clouds", settings: { bootMs: 20_000 } });
  const { endpoint } = emulator;
  const opened: Provider[] = [];
  const openAs = async (clusterId: string): Promise<Provider> => {
    const provider = await createAwsProvider({
      ...{ regions, clusterId, clock, endpoint, credentials },
      emulated: true,
      rng: createRng(1),
      limitOf: () => ({ burst: 10_000, perSecond: 10_000 }),
    });
    opened.push(provider);
    return provider;
  };
  const provider = await openAs(CLUSTER);
  const client = new EC2Client({ region: REGION, endpoint, credentials });
  return {
    clock,
    emulator,
    provider,
    offers: () => twoOffers(provider, REGION, /^g4dn\.2?xlarge$/),
    launchCount: () => launchesIn(emulator.journal(), ["CreateFleet", "RunInstances"]),
    launchCountOf: () => 1,
    runningIds: () =>
      emulator
        .instances()
        .filter(({ state }) => state === "running")
        .map(({ region, instanceId }) => `${region}/${instanceId}`),
    takeTag: async (providerNodeId) => {
      const [, instanceId = ""] = providerNodeId.split("/");
      const Tags = [{ Key: CLUSTER_TAG, Value: "taken" }];
      await client.send(new CreateTagsCommand({ Resources: [instanceId], Tags }));
    },
    stripTags: async (providerNodeId, keptKeys = []) => {
      const [, instanceId = ""] = providerNodeId.split("/");
      const has = emulator.instances().find((one) => one.instanceId === instanceId)?.tags ?? {};
      const lost = Object.keys(has).filter((key) => !keptKeys.includes(key));
      const Tags = lost.map((Key) => ({ Key }));
      await client.send(new DeleteTagsCommand({ Resources: [instanceId], Tags }));
    },
    openAs,
    listCount: () => launchesIn(emulator.journal(), ["DescribeInstances"]),
    passingTime: (work) => work,
    close: async () => {
      client.destroy();
      await Promise.all(opened.map((one) => one.close()));
      await emulator.close();
    },
  };
}

/** Google Cloud. */
export async function openGoogleCloud(): Promise<CloudBench> {
  const bench = await openGcpBench();
  const { emulator, provider } = bench;
  const relabel = async (
    providerNodeId: string,
    change: (labels: Readonly<Record<string, string>>) => Readonly<Record<string, string>>,
  ): Promise<void> => {
    const [zone = "", name = ""] = providerNodeId.split("/");
    const path = `projects/${emulator.projectId}/zones/${zone}/instances/${name}`;
    const url = `${emulator.endpoint}/compute/v1/${path}`;
    const { labelFingerprint, labels } = (await (await fetch(url)).json()) as {
      labelFingerprint: string;
      labels: Record<string, string>;
    };
    const body = JSON.stringify({ labels: change(labels), labelFingerprint });
    await accepted(await fetch(`${url}/setLabels`, { method: "POST", body }));
  };
  return {
    ...bench,
    offers: () => twoOffers(provider, "us-central1", /^g2-standard-8$/),
    launchCount: () => launchesIn(emulator.journal(), ["instances.insert", "instances.bulkInsert"]),
    launchCountOf: () => 1,
    runningIds: () =>
      emulator
        .instances()
        .filter(({ status }) => status === "RUNNING")
        .map(({ zone, name, instanceId }) => `${zone}/${name}/${instanceId}`),
    takeTag: (providerNodeId) => relabel(providerNodeId, () => ({ owner: "taken" })),
    stripTags: (providerNodeId, keptKeys = []) =>
      relabel(providerNodeId, (labels) => only(labels, keptKeys.map(labelOf))),
    openAs: (clusterId) => bench.reopen({ clusterId }),
    listCount: () => launchesIn(emulator.journal(), ["instances.aggregatedList"]),
  };
}

/** Azure. */
export async function openAzureCloud(): Promise<CloudBench> {
  const bench = await openAzureBench();
  const { emulator, provider } = bench;
  const others: Provider[] = [];
  const retag = async (
    resource: string,
    change: (tags: Readonly<Record<string, string>>) => Readonly<Record<string, string>>,
  ): Promise<void> => {
    const group = `subscriptions/${SUBSCRIPTION}/resourceGroups/${GROUP}`;
    const url = `${emulator.endpoint}/${group}/providers/${resource}?api-version=2024-07-01`;
    const headers = { authorization: "Bearer fake", "content-type": "application/json" };
    const { tags } = (await (await fetch(url, { headers })).json()) as {
      tags: Record<string, string>;
    };
    const body = JSON.stringify({ tags: change(tags) });
    await accepted(await fetch(url, { method: "PATCH", headers, body }));
  };
  return {
    ...bench,
    offers: () => twoOffers(provider, "eastus", /^Standard_NC4as_T4_v3$/),
    launchCount: () => launchesIn(emulator.journal(), ["VirtualMachines.CreateOrUpdate"]),
    launchCountOf: (machineCount) => machineCount,
    runningIds: () =>
      emulator
        .machines()
        .filter(({ powerState }) => powerState === "running")
        .map(({ region, name }) => `${region}/${name}`),
    takeTag: async (providerNodeId) => {
      const [, name = ""] = providerNodeId.split("/");
      await retag(`Microsoft.Compute/virtualMachines/${name}`, () => ({ owner: "taken" }));
    },
    stripTags: async (providerNodeId, keptKeys = []) => {
      const [, name = ""] = providerNodeId.split("/");
      await retag(`Microsoft.Compute/virtualMachines/${name}`, (tags) => only(tags, keptKeys));
      await retag(`Microsoft.Network/networkInterfaces/${name}-nic`, () => ({}));
      await retag(`Microsoft.Compute/disks/${name}-os`, () => ({}));
    },
    openAs: async (clusterId) => {
      const opened = await bench.open({ clusterId });
      others.push(opened);
      return opened;
    },
    listCount: () => launchesIn(emulator.journal(), ["VirtualMachines.List"]),
    passingTime: (work) => work,
    close: async () => {
      await Promise.all(others.map((one) => one.close()));
      await bench.close();
    },
  };
}

/** All three, for tables of tests. */
export const CLOUDS = [
  { name: "AWS", open: (): Promise<CloudBench> => openAwsCloud() },
  { name: "Google Cloud", open: openGoogleCloud },
  { name: "Azure", open: openAzureCloud },
] as const;

async function twoOffers(
  provider: Provider,
  inRegion: string,
  types: RegExp,
): Promise<readonly Offer[]> {
  const offers = (await provider.listOffers()).filter(
    ({ region, purchase, instanceType }) =>
      region === inRegion && purchase === "on-demand" && types.test(instanceType),
  );
  if (offers.length < 2) throw new Error(`${inRegion} has ${offers.length} offers of ${types}`);
  return offers.slice(0, 2);
}

/** Those of some keys. */
function only(
  tags: Readonly<Record<string, string>>,
  keptKeys: readonly string[],
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(tags).filter(([key]) => keptKeys.includes(key)));
}

/** A tag's key as a label of Google Cloud. */
function labelOf(key: string): string {
  return key.replaceAll(":", "_3a");
}

function launchesIn(
  journal: readonly { readonly action: string; readonly applied: boolean }[],
  actions: readonly string[],
): number {
  return journal.filter(({ action, applied }) => applied && actions.includes(action)).length;
}

async function accepted(answer: Response): Promise<void> {
  if (!answer.ok) throw new Error(`the cloud said ${answer.status}: ${await answer.text()}`);
}
