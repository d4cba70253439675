/** The machines of a platform: rented ones and emulated ones. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { messageOf, PlatformError, type CloudName, type Node } from "../../core/index.ts";
import type { Provider } from "../../providers/index.ts";
import { azureImageOf, createProviders, type ProvidersOptions } from "../../providers/registry.ts";
import type { AzureConfig, EmulatedCloud, PlatformConfig } from "../config.ts";
import { startEmulatedCloud } from "../fleet/emulated-clouds.ts";
import type { NodeTable } from "../fleet/node-table.ts";
import { priceFilePath } from "../prices/price-file.ts";
import { PriceShelf } from "../prices/price-shelf.ts";
import type { Closers } from "./closers.ts";
import type { Foundations } from "./foundations.ts";

const run = promisify(execFile);
const VERSION_MS_MAX = 10_000;

/**
 * Makes sure that the machines which the platform starts itself can isolate their containers.
 *
 * @throws PlatformError `unavailable` when gVisor is wanted and missing.
 */
export async function checkIsolation(config: PlatformConfig): Promise<void> {
  const isolation = config.localNode?.isolation ?? (config.emulatedClouds ? "gvisor" : undefined);
  if (isolation !== "gvisor") return;
  try {
    await run("runsc", ["--version"], { timeout: VERSION_MS_MAX });
  } catch (error) {
    throw new PlatformError(
      `cannot start runsc (${messageOf(error)}), the gVisor that isolates containers; install it, ` +
        "e.g. `apt-get install runsc`, or run containers unisolated: `flotilla up --unisolated`",
      { code: "unavailable", retryable: false, cause: error },
    );
  }
}

/** Endpoints of the emulators of this platform, by cloud. */
export type EmulatorUrls = Readonly<Partial<Record<EmulatedCloud, string>>>;

export interface OpenedClouds {
  readonly providers: ReadonlyMap<CloudName, Provider>;
  readonly emulatorUrls: EmulatorUrls;
}

/** Opens the clouds that the settings name; none by default. */
export async function openClouds(
  config: PlatformConfig,
  foundations: Foundations,
  closers: Closers,
): Promise<OpenedClouds> {
  const { emulatedClouds } = config;
  if (emulatedClouds === undefined) {
    return { providers: await openRealClouds(config, foundations), emulatorUrls: {} };
  }
  const { bootMs } = emulatedClouds;
  const options = { ...foundations, bootMs, isolation: config.localNode?.isolation ?? "gvisor" };
  let desks: ProvidersOptions = {};
  let emulatorUrls: EmulatorUrls = {};
  for (const cloud of emulatedClouds.clouds) {
    const emulator = await startEmulatedCloud(cloud, options);
    closers.add(`the emulated ${cloud}`, () => emulator.close());
    desks = { ...desks, ...emulator.desk };
    emulatorUrls = { ...emulatorUrls, [cloud]: emulator.endpoint };
  }
  return { providers: await createProviders(desks), emulatorUrls };
}

async function openRealClouds(
  config: PlatformConfig,
  { clusterId, clock, onError }: Foundations,
): Promise<ReadonlyMap<CloudName, Provider>> {
  const { awsRegions, azure, gcp } = config;
  const isRenting = awsRegions.length > 0 || azure !== undefined || gcp !== undefined;
  if (isRenting) checkReachable(config);
  const { sheets } = new PriceShelf({ path: priceFilePath(config.dataDir), clock, onError });
  const common = { clusterId, clock, sheets };
  return createProviders({
    ...(awsRegions.length === 0 ? {} : { aws: { regions: awsRegions, ...common } }),
    ...(azure === undefined ? {} : { azure: azureOptionsOf(azure, common) }),
    ...(gcp === undefined ? {} : { gcp: { ...gcp, ...common } }),
  });
}

function azureOptionsOf(
  { image, ...azure }: AzureConfig,
  common: Pick<Foundations, "clusterId" | "clock"> & Pick<PriceShelf, "sheets">,
) {
  return { ...azure, ...common, ...(image === undefined ? {} : { image: azureImageOf(image) }) };
}

/** @throws PlatformError `invalid_request` when machines elsewhere could not find this server. */
function checkReachable({ publicUrl, host }: PlatformConfig): void {
  const isLoopback = host === "localhost" || host === "::1" || host.startsWith("127.");
  if (publicUrl !== undefined || !isLoopback) return;
  throw new PlatformError(
    `machines rented from a cloud cannot reach this server on ${host}; say where they can, e.g. ` +
      "FLOTILLA_PUBLIC_URL=https://flotilla.example.com",
    { code: "invalid_request", retryable: false },
  );
}

/**
 * Closes the records of nodes that were processes of this machine, itself and the emulated
 * clouds' instances: they end with the platform, and are new ones on every start. One that
 * outlived a killed platform may stay, the node `keptId`.
 */
export async function closeOwnNodes(
  nodes: NodeTable,
  nowMs: number,
  keptId?: string,
): Promise<void> {
  for (const { stored } of nodes.all()) {
    if (stored.node.nodeId === keptId) continue;
    if (stored.node.cloud !== "local" && !stored.node.emulated) continue;
    const node: Node = { ...stored.node, state: "terminated", stateSinceMs: nowMs };
    await nodes.put([{ ...stored, node, terminatedAtMs: nowMs }], nowMs);
  }
}
