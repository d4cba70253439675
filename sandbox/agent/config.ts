/** Settings of a node agent: a JSON file written by whoever starts it. */
import { readFile } from "node:fs/promises";
import { messageOf, PlatformError, type Isolation, type Resources } from "../../core/index.ts";
import { parseRanges } from "../egress/egress-gate.ts";
import { METADATA_CLOUDS, type MetadataCloud } from "./cloud-metadata.ts";

export interface AgentConfig {
  readonly serverUrl: string;
  /** A join token: of one node, or of a batch of rented machines. */
  readonly token: string;
  /** The node that the token is for; absent on a rented machine, which learns it on joining. */
  readonly nodeId?: string;
  /** On a rented machine: the batch it belongs to, whose cloud tells it apart. */
  readonly rented?: RentedConfig;
  /** Folder of all that the agent keeps; `/var/lib/flotilla` when absent. */
  readonly dataDir: string;
  readonly isolation: Isolation;
  /** What the machine has; found out when absent. */
  readonly resources?: Resources;
  /** With `resources`, or with GPUs that are pretended. */
  readonly gpuType?: string;
  readonly emulatedGpus?: boolean;
  /** Special ranges that containers may reach where they are allowed, such as `10.1.0.0/16`. */
  readonly egressOpenRanges?: readonly string[];
  /** Folders of this machine with chunks of images; more are fetched from the server. */
  readonly chunkDirs?: readonly string[];
  /** Folder of this machine where the server keeps blobs; more are fetched from the server. */
  readonly blobDir?: string;
  /** Port on which other nodes are given chunks of images, 0 for any; absent: they get none. */
  readonly peerPort?: number;
  /** End when the process that started this one is gone. */
  readonly endsWithParent?: boolean;
  /** End, with all containers, when no server has been there for so long; absent means never. */
  readonly aloneMsMax?: number;
}

/** How a rented machine learns who it is. */
export interface RentedConfig {
  /** The client token of the request it was rented by. */
  readonly batch: string;
  readonly cloud: MetadataCloud;
  /** Address of its metadata service; the cloud's own when absent. */
  readonly metadataUrl?: string;
}

const DEFAULT_DATA_DIR = "/var/lib/flotilla";

/** Reads an agent's settings. @throws PlatformError `invalid_request` naming what is wrong */
export async function readAgentConfig(path: string): Promise<AgentConfig> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    throw invalid(`cannot read the agent's settings in ${path}: ${messageOf(error)}`);
  }
  if (typeof value !== "object" || value === null) throw invalid(`${path} holds no settings`);
  const given = { dataDir: DEFAULT_DATA_DIR, isolation: "gvisor", ...value };
  const wrong = faultOf(given);
  if (wrong !== undefined) throw invalid(`${path}: ${wrong}`);
  return given as AgentConfig;
}

const TEXTS = ["serverUrl", "token", "dataDir"] as const;
const FLAGS = ["emulatedGpus", "endsWithParent"] as const;
const AMOUNTS = ["gpuCount", "cpuMilli", "memoryMiB"] as const;
const PORT_MAX = 65_535;
const ISOLATIONS: readonly unknown[] = ["gvisor", "process"] satisfies readonly Isolation[];

/** What is wrong with settings; undefined when nothing is. */
function faultOf(settings: Readonly<Record<string, unknown>>): string | undefined {
  const text = TEXTS.find((field) => typeof settings[field] !== "string" || settings[field] === "");
  if (text !== undefined) return `"${text}" must be a text`;
  const nameless = identityFaultOf(settings);
  if (nameless !== undefined) return nameless;
  if (!ISOLATIONS.includes(settings["isolation"])) {
    return '"isolation" must be "gvisor" or "process"';
  }
  const flag = FLAGS.find((field) => !["undefined", "boolean"].includes(typeof settings[field]));
  if (flag !== undefined) return `"${flag}" must be true or false`;
  const list = listFaultOf(settings);
  if (list !== undefined) return list;
  const number = numberFaultOf(settings);
  if (number !== undefined) return number;
  const { gpuType, blobDir, resources } = settings;
  if (blobDir !== undefined && typeof blobDir !== "string") return '"blobDir" must be a folder';
  if (gpuType !== undefined && typeof gpuType !== "string") return '"gpuType" must be a text';
  return resources === undefined ? undefined : resourceFaultOf(resources);
}

function numberFaultOf({
  peerPort = 0,
  aloneMsMax = 0,
}: Readonly<Record<string, unknown>>): string | undefined {
  const isPort = Number.isInteger(peerPort) && isAmount(peerPort) && Number(peerPort) <= PORT_MAX;
  if (!isPort) return '"peerPort" must be a port';
  return isAmount(aloneMsMax) ? undefined : '"aloneMsMax" must be a time in ms';
}

function listFaultOf({
  egressOpenRanges: ranges = [],
  chunkDirs: dirs = [],
}: Readonly<Record<string, unknown>>): string | undefined {
  const isRanges = Array.isArray(ranges) && parseRanges(ranges.map(String)) !== undefined;
  if (!isRanges) return '"egressOpenRanges" must be a list such as ["10.1.0.0/16"]';
  const isDirs = Array.isArray(dirs) && dirs.every((dir) => typeof dir === "string");
  return isDirs ? undefined : '"chunkDirs" must be a list of folders';
}

/** A node is named, or it is rented and finds its name. */
function identityFaultOf({
  nodeId,
  rented,
}: Readonly<Record<string, unknown>>): string | undefined {
  if (rented === undefined) {
    return typeof nodeId === "string" && nodeId !== "" ? undefined : '"nodeId" must be a text';
  }
  if (nodeId !== undefined) return 'give "nodeId" or "rented", not both';
  if (typeof rented !== "object" || rented === null) return '"rented" must be an object';
  const { batch, cloud, metadataUrl }: Readonly<Record<string, unknown>> = { ...rented };
  if (typeof batch !== "string" || batch === "") return '"rented.batch" must be a text';
  if (!METADATA_CLOUDS.some((name) => name === cloud)) {
    return `"rented.cloud" must be one of ${METADATA_CLOUDS.join(", ")}`;
  }
  const isUrl = metadataUrl === undefined || typeof metadataUrl === "string";
  return isUrl ? undefined : '"rented.metadataUrl" must be a text';
}

function resourceFaultOf(resources: unknown): string | undefined {
  if (typeof resources !== "object" || resources === null) return '"resources" must be an object';
  const amounts: Readonly<Record<string, unknown>> = { ...resources };
  const wrong = AMOUNTS.find((field) => !isAmount(amounts[field]));
  return wrong === undefined ? undefined : `"resources.${wrong}" must be a number of at least 0`;
}

function isAmount(value: unknown): boolean {
  return typeof value === "number" && value >= 0;
}

function invalid(message: string): PlatformError {
  return new PlatformError(message, { code: "invalid_request", retryable: false });
}
