/** The emulated clouds of an embedded platform: their machines are node agents of this machine. */
import { join } from "node:path";
import type { Clock, Isolation } from "../../core/index.ts";
import type { MachineLauncher } from "../../providers/emulators/shared/index.ts";
import { catalogRegions } from "../../providers/index.ts";
import type { ProvidersOptions } from "../../providers/registry.ts";
import type { EmulatedCloud } from "../config.ts";
import { ALONE_MS_MAX, removeAgentDir, startAgentProcess } from "./agent-process.ts";
import { firstBootOf } from "./user-data.ts";

export interface EmulatedCloudOptions {
  readonly agentsDir: string;
  readonly cacheDir: string;
  /** The cluster that rents from it. */
  readonly clusterId: string;
  /** From an accepted launch to the agent starting. */
  readonly bootMs: number;
  /** How the machines separate their containers. */
  readonly isolation: Isolation;
  readonly clock: Clock;
}

/** A running emulator, and how to rent from it. */
export interface RunningEmulator {
  readonly endpoint: string;
  /** For `createProviders`, which opens the cloud's desk over the emulator. */
  readonly desk: ProvidersOptions;
  /** Ends all its machines. */
  close(): Promise<void>;
}

/** Starts one emulator; the code of the others is not loaded. */
export function startEmulatedCloud(
  cloud: EmulatedCloud,
  options: EmulatedCloudOptions,
): Promise<RunningEmulator> {
  return STARTS[cloud](options);
}

const STARTS: Readonly<
  Record<EmulatedCloud, (options: EmulatedCloudOptions) => Promise<RunningEmulator>>
> = { aws: startEc2, gcp: startGce, azure: startArm };

async function startEc2(options: EmulatedCloudOptions): Promise<RunningEmulator> {
  const { startEc2Emulator } = await import("../../providers/emulators/ec2/index.ts");
  const emulator = await startEc2Emulator(emulatorOptionsOf(options));
  const credentials = { accessKeyId: "AKIAEMULATED", secretAccessKey: "emulated" };
  const desk = { aws: { ...deskOf("aws", emulator.endpoint, options), credentials } };
  return { endpoint: emulator.endpoint, desk, close: () => emulator.close() };
}

async function startGce(options: EmulatedCloudOptions): Promise<RunningEmulator> {
  const { startGceEmulator } = await import("../../providers/emulators/gce/index.ts");
  const emulator = await startGceEmulator(emulatorOptionsOf(options));
  const { endpoint, projectId } = emulator;
  const credentials = { kind: "anonymous" } as const;
  const desk = { gcp: { ...deskOf("gcp", endpoint, options), projectId, credentials } };
  return { endpoint, desk, close: () => emulator.close() };
}

const AZURE_GROUP = { subscriptionId: "emulated", resourceGroup: "emulated" };

async function startArm(options: EmulatedCloudOptions): Promise<RunningEmulator> {
  const { startArmEmulator } = await import("../../providers/emulators/arm/index.ts");
  const { subscriptionId, resourceGroup } = AZURE_GROUP;
  const emulator = await startArmEmulator({
    ...emulatorOptionsOf(options),
    resourceGroups: [`${subscriptionId}/${resourceGroup}`],
  });
  const { endpoint } = emulator;
  const credential = {
    getToken: () => Promise.resolve({ token: "emulated", expiresOnTimestamp: TOKEN_EXPIRES_MS }),
  };
  const waits = { pollMs: EMULATED_POLL_MS };
  const azure = { ...deskOf("azure", endpoint, options), ...AZURE_GROUP, credential, waits };
  return { endpoint, desk: { azure }, close: () => emulator.close() };
}

/** The year 2100: a token that nobody checks is not fetched again. */
const TOKEN_EXPIRES_MS = 4_102_444_800_000;
/** An emulator on this machine is asked often: its answers come at once and cost nothing. */
const EMULATED_POLL_MS = 100;
/** Emulated clouds have no limits unless they are set. */
const UNLIMITED = { burst: 10_000, perSecond: 10_000 };

/** Of EC2, where each region is asked for itself every second: enough of them for a choice. */
const EMULATED_AWS_REGIONS = [
  ...["us-east-1", "us-east-2", "us-west-2", "ca-central-1"],
  ...["eu-central-1", "eu-west-2", "eu-north-1", "ap-northeast-1"],
];

/** What all adapters are told of an emulator. */
function deskOf(
  cloud: EmulatedCloud,
  endpoint: string,
  { clusterId, clock, bootMs }: EmulatedCloudOptions,
) {
  const regions = cloud === "aws" ? EMULATED_AWS_REGIONS : catalogRegions(cloud);
  const limitOf = () => UNLIMITED;
  return { regions, clusterId, clock, endpoint, emulated: true, bootMs, limitOf };
}

function emulatorOptionsOf({
  agentsDir,
  cacheDir,
  bootMs,
  isolation,
  clock,
}: EmulatedCloudOptions) {
  const launcher: MachineLauncher = {
    async launch(machine) {
      const { serverUrl, token, rented, peerPort } = firstBootOf(machine.userData);
      const dataDir = join(agentsDir, machine.instanceId);
      const agent = await startAgentProcess({
        config: {
          serverUrl,
          token,
          rented: { ...rented, metadataUrl: machine.metadataUrl },
          dataDir,
          isolation,
          resources: machine.resources,
          ...(machine.gpuType === undefined ? {} : { gpuType: machine.gpuType }),
          emulatedGpus: machine.gpuType !== undefined,
          aloneMsMax: ALONE_MS_MAX,
          ...(peerPort === undefined ? {} : { peerPort }),
        },
        cacheDir,
        clock,
      });
      return {
        exited: agent.exited,
        terminate: async () => {
          await agent.terminate();
          await removeAgentDir(dataDir);
        },
      };
    },
  };
  return { clock, launcher, settings: { bootMs } };
}
