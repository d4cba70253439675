/** The emulated EC2 of an embedded platform: its instances are node agents of this machine. */
import { join } from "node:path";
import type { Clock, Isolation } from "../../core/index.ts";
import {
  startEc2Emulator,
  type Ec2Emulator,
  type InstanceLaunch,
  type InstanceLauncher,
} from "../../providers/emulators/ec2/index.ts";
import { removeAgentDir, startAgentProcess } from "./agent-process.ts";
import { firstBootOf } from "./user-data.ts";

export interface EmulatedCloudOptions {
  readonly agentsDir: string;
  readonly cacheDir: string;
  readonly bootMs: number;
  /** How the instances separate their containers. */
  readonly isolation: Isolation;
  readonly clock: Clock;
}

/** Starts the emulator; its `close` ends all instances. */
export async function startEmulatedCloud(options: EmulatedCloudOptions): Promise<Ec2Emulator> {
  const { bootMs, clock } = options;
  return startEc2Emulator({ clock, launcher: launcherOf(options), settings: { bootMs } });
}

function launcherOf(options: EmulatedCloudOptions): InstanceLauncher {
  const { agentsDir, cacheDir, isolation, clock } = options;
  return {
    async launch(instance: InstanceLaunch) {
      const { serverUrl, token, rented } = firstBootOf(instance.userData);
      const dataDir = join(agentsDir, instance.instanceId);
      const agent = await startAgentProcess({
        config: {
          serverUrl,
          token,
          rented: { ...rented, metadataUrl: instance.metadataUrl },
          dataDir,
          isolation,
          resources: instance.resources,
          ...(instance.gpuType === undefined ? {} : { gpuType: instance.gpuType }),
          emulatedGpus: instance.gpuType !== undefined,
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
}
