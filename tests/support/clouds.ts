/** The three clouds by their real adapters and SDKs over emulators, on virtual time. */
import { CreateTagsCommand, EC2Client } from "@aws-sdk/client-ec2";
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
  /** Lets time pass while a call waits for the cloud. */
  readonly passingTime: <T>(work: Promise<T>) => Promise<T>;
  readonly close: () => Promise<void>;
}

/** AWS, with its emulator for what is peculiar to it. */
export async function openAwsCloud(): Promise<CloudBench & { readonly emulator: Ec2Emulator }> {
  const clock = createManualClock(1_800_000_000_000);
  const emulator = await startEc2Emulator({ clock, seed: "clouds", settings: { bootMs: 20_000 } });
  const { endpoint } = emulator;
  const provider = await createAwsProvider({
    ...{ regions: [REGION], clusterId: CLUSTER, clock, endpoint, credentials },
    emulated: true,
    rng: createRng(1),
    limitOf: () => ({ burst: 10_000, perSecond: 10_000 }),
  });
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
    passingTime: (work) => work,
    close: async () => {
      client.destroy();
      await provider.close();
      await emulator.close();
    },
  };
}

/** Google Cloud. */
export async function openGoogleCloud(): Promise<CloudBench> {
  const bench = await openGcpBench();
  const { emulator, provider } = bench;
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
    takeTag: async (providerNodeId) => {
      const [zone = "", name = ""] = providerNodeId.split("/");
      const path = `projects/${emulator.projectId}/zones/${zone}/instances/${name}`;
      const url = `${emulator.endpoint}/compute/v1/${path}`;
      const { labelFingerprint } = (await (await fetch(url)).json()) as Record<string, unknown>;
      const body = JSON.stringify({ labels: { owner: "taken" }, labelFingerprint });
      await accepted(await fetch(`${url}/setLabels`, { method: "POST", body }));
    },
  };
}

/** Azure. */
export async function openAzureCloud(): Promise<CloudBench> {
  const bench = await openAzureBench();
  const { emulator, provider } = bench;
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
      const group = `subscriptions/${SUBSCRIPTION}/resourceGroups/${GROUP}`;
      const path = `${group}/providers/Microsoft.Compute/virtualMachines/${name}`;
      const answer = await fetch(`${emulator.endpoint}/${path}?api-version=2024-07-01`, {
        method: "PATCH",
        headers: { authorization: "Bearer fake", "content-type": "application/json" },
        body: JSON.stringify({ tags: { owner: "taken" } }),
      });
      await accepted(answer);
    },
    passingTime: (work) => work,
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

function launchesIn(
  journal: readonly { readonly action: string; readonly applied: boolean }[],
  actions: readonly string[],
): number {
  return journal.filter(({ action, applied }) => applied && actions.includes(action)).length;
}

async function accepted(answer: Response): Promise<void> {
  if (!answer.ok) throw new Error(`the cloud said ${answer.status}: ${await answer.text()}`);
}
