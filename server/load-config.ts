/**
 * Where settings come from: the command line, else the environment, else the default.
 *
 * A setting that is given wrongly is never passed over: the error names it as the user wrote
 * it. An empty environment variable counts as not given.
 */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import {
  CLOUD_NAMES,
  DEFAULT_POLICY,
  messageOf,
  microUsdFromUsd,
  PlatformError,
  type Policy,
} from "../core/index.ts";
import { EMULATED_CLOUDS, type PlatformConfig, type PriceSources } from "./config.ts";
import { parsePolicy } from "./policy/parse-policy.ts";
import {
  addressRange,
  apiKey,
  azureImage,
  azureName,
  emulatedCloudList,
  emulatedGpusOf,
  filePath,
  folder,
  gcpProject,
  hostName,
  httpUrl,
  listOf,
  onOrOff,
  oneOf,
  redisUrlOf,
  region,
  registryHosts,
  s3Url,
  secretKeyIn,
  usd,
  wholeNumber,
  type Parse,
} from "./setting-values.ts";

export const DEFAULT_PORT = 7070;
const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_EMULATED_BOOT_MS = 3_000;
const EMULATED_BOOT_MS_MAX = 3_600_000;
const DEFAULT_IMAGE_DISK_GB = 50;
const BYTES_PER_GB = 1_000_000_000;
const DAY_MS = 86_400_000;
const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
const SOLVERS = ["highs", "glpk", "javascript-lp"] as const;

/** What the command line may say; everything else comes from the environment. */
export interface ConfigFlags {
  readonly dataDir?: string;
  readonly host?: string;
  readonly port?: number;
  readonly redisUrl?: string;
  /** Path of a YAML policy. */
  readonly policyFile?: string;
  readonly logLevel?: string;
  /** `on`, `off` or a list such as `aws,gcp`. */
  readonly emulatedClouds?: string;
  readonly emulatedBootMs?: number;
  /** Such as `H100:8`. */
  readonly localGpus?: string;
  readonly unisolated?: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The platform's settings. Reads nothing but its arguments, the user's home folder and the
 * policy file if one is named.
 *
 * @throws PlatformError `invalid_request` that names the wrong setting and what it takes.
 */
export function loadConfig(flags: ConfigFlags, env: Environment): PlatformConfig {
  refuseUnsupported(env);
  const settings = new Settings(flags, env);
  const redisUrl = settings.read("redisUrl", "FLOTILLA_REDIS_URL", redisUrlOf);
  const publicUrl = settings.read(undefined, "FLOTILLA_PUBLIC_URL", httpUrl);
  const localNode = localNodeOf(settings);
  const perSecond = wholeNumber(1, 1_000_000);
  const requestsPerSecondMax = settings.read(undefined, "FLOTILLA_REQUESTS_PER_SECOND", perSecond);
  const ranges = listOf(addressRange);
  const egressOpenRanges = settings.read(undefined, "FLOTILLA_EGRESS_OPEN_RANGES", ranges);
  return {
    dataDir: settings.read("dataDir", "FLOTILLA_DATA_DIR", folder) ?? defaultDataDir(env),
    host: settings.read("host", "FLOTILLA_HOST", hostName) ?? DEFAULT_HOST,
    port: settings.read("port", "FLOTILLA_PORT", wholeNumber(0, 65_535)) ?? DEFAULT_PORT,
    ...(publicUrl === undefined ? {} : { publicUrl }),
    ...(redisUrl === undefined ? {} : { redisUrl }),
    ...ratesOf(settings),
    ...(requestsPerSecondMax === undefined ? {} : { requestsPerSecondMax }),
    ...blobStoreOf(settings),
    ...secretKeysOf(settings),
    policy: policyOf(settings),
    ...(localNode === undefined ? {} : { localNode }),
    ...(egressOpenRanges === undefined ? {} : { egressOpenRanges }),
    ...peerPortOf(settings),
    ...emulatedCloudsOf(settings, flags),
    ...cloudsOf(settings),
    priceSources: priceSourcesOf(settings),
    imageRegistries: settings.read(undefined, "FLOTILLA_IMAGE_REGISTRIES", registryHosts) ?? [],
    imageDiskBytesMax:
      (settings.read(undefined, "FLOTILLA_IMAGE_DISK_GB", wholeNumber(1, 100_000)) ??
        DEFAULT_IMAGE_DISK_GB) * BYTES_PER_GB,
    logLevel: settings.read("logLevel", "FLOTILLA_LOG_LEVEL", oneOf(LOG_LEVELS)) ?? "info",
  };
}

function peerPortOf(settings: Settings): Pick<PlatformConfig, "peerPort"> {
  const peerPort = settings.read(undefined, "FLOTILLA_PEER_PORT", wholeNumber(0, 65_535));
  return peerPort === undefined ? {} : { peerPort };
}

function blobStoreOf(settings: Settings): Pick<PlatformConfig, "blobStore"> {
  const place = settings.read(undefined, "FLOTILLA_BLOB_STORE", s3Url);
  const endpoint = settings.read(undefined, "FLOTILLA_BLOB_STORE_ENDPOINT", httpUrl);
  if (place !== undefined) {
    return { blobStore: { ...place, ...(endpoint === undefined ? {} : { endpoint }) } };
  }
  if (endpoint === undefined) return {};
  throw refusal("FLOTILLA_BLOB_STORE_ENDPOINT needs FLOTILLA_BLOB_STORE, such as s3://bucket");
}

function ratesOf(settings: Settings): Pick<PlatformConfig, "ratesFile"> {
  const ratesFile = settings.read(undefined, "FLOTILLA_RATES", filePath);
  return ratesFile === undefined ? {} : { ratesFile };
}

function secretKeysOf(settings: Settings): Pick<PlatformConfig, "secretKey" | "secretKeyNext"> {
  const secretKey = settings.read(undefined, "FLOTILLA_SECRET_KEY", secretKeyIn);
  const secretKeyNext = settings.read(undefined, "FLOTILLA_SECRET_KEY_NEXT", secretKeyIn);
  return {
    ...(secretKey === undefined ? {} : { secretKey }),
    ...(secretKeyNext === undefined ? {} : { secretKeyNext }),
  };
}

function priceSourcesOf(settings: Settings): PriceSources {
  const awsUrl = settings.read(undefined, "FLOTILLA_AWS_PRICE_URL", httpUrl);
  const awsSpotUrl = settings.read(undefined, "FLOTILLA_AWS_SPOT_URL", httpUrl);
  const gcpUrl = settings.read(undefined, "FLOTILLA_GCP_PRICE_URL", httpUrl);
  const gcpKey = settings.read(undefined, "FLOTILLA_GCP_PRICE_KEY", apiKey);
  const azureUrl = settings.read(undefined, "FLOTILLA_AZURE_PRICE_URL", httpUrl);
  return {
    ...(awsUrl === undefined ? {} : { awsUrl }),
    ...(awsSpotUrl === undefined ? {} : { awsSpotUrl }),
    ...(gcpUrl === undefined ? {} : { gcpUrl }),
    ...(gcpKey === undefined ? {} : { gcpKey }),
    ...(azureUrl === undefined ? {} : { azureUrl }),
  };
}

function localNodeOf(settings: Settings): PlatformConfig["localNode"] {
  const isWanted = settings.read(undefined, "FLOTILLA_LOCAL_NODE", onOrOff) ?? true;
  const isUnisolated = settings.read("unisolated", "FLOTILLA_UNISOLATED", onOrOff) ?? false;
  const emulatedGpus = settings.read("localGpus", "FLOTILLA_LOCAL_GPUS", emulatedGpusOf);
  const priceUsd = settings.read(undefined, "FLOTILLA_LOCAL_USD_PER_HOUR", usd);
  if (!isWanted) return undefined;
  return {
    isolation: isUnisolated ? "process" : "gvisor",
    ...(emulatedGpus === undefined ? {} : { emulatedGpus }),
    ...(priceUsd === undefined ? {} : { priceMicroUsdPerHour: microUsdFromUsd(priceUsd) }),
  };
}

/** None unless they are asked for; who says on the command line how they boot wants them all. */
function emulatedCloudsOf(
  settings: Settings,
  { emulatedBootMs }: ConfigFlags,
): Pick<PlatformConfig, "emulatedClouds"> {
  const bootMs = settings.read(
    "emulatedBootMs",
    "FLOTILLA_EMULATED_BOOT_MS",
    wholeNumber(0, EMULATED_BOOT_MS_MAX),
  );
  const clouds =
    settings.read("emulatedClouds", "FLOTILLA_EMULATED_CLOUDS", emulatedCloudList) ??
    (emulatedBootMs === undefined ? [] : EMULATED_CLOUDS);
  if (clouds.length === 0) return {};
  return { emulatedClouds: { clouds, bootMs: bootMs ?? DEFAULT_EMULATED_BOOT_MS } };
}

/** The clouds to rent from; none unless their regions are named. */
function cloudsOf(settings: Settings): Pick<PlatformConfig, "awsRegions" | "azure" | "gcp"> {
  const azure = azureOf(settings);
  const gcp = gcpOf(settings);
  return {
    awsRegions: settings.read(undefined, "FLOTILLA_AWS_REGIONS", listOf(region)) ?? [],
    ...(azure === undefined ? {} : { azure }),
    ...(gcp === undefined ? {} : { gcp }),
  };
}

/** Regions turn Azure on; the subscription and the resource group must be named with them. */
function azureOf(settings: Settings): PlatformConfig["azure"] {
  const regions = settings.read(undefined, "FLOTILLA_AZURE_REGIONS", listOf(region));
  const subscriptionId =
    settings.read(undefined, "FLOTILLA_AZURE_SUBSCRIPTION", azureName) ??
    settings.read(undefined, "AZURE_SUBSCRIPTION_ID", azureName);
  const resourceGroup = settings.read(undefined, "FLOTILLA_AZURE_RESOURCE_GROUP", azureName);
  const image = settings.read(undefined, "FLOTILLA_AZURE_IMAGE", azureImage);
  const publicAddresses = settings.read(undefined, "FLOTILLA_AZURE_PUBLIC_ADDRESSES", onOrOff);
  if (regions === undefined) return undefined;
  if (subscriptionId === undefined || resourceGroup === undefined) {
    throw refusal(
      "FLOTILLA_AZURE_REGIONS needs FLOTILLA_AZURE_SUBSCRIPTION and FLOTILLA_AZURE_RESOURCE_GROUP: " +
        "where Azure is to put the machines",
    );
  }
  return {
    subscriptionId,
    resourceGroup,
    regions,
    ...(image === undefined ? {} : { image }),
    publicAddresses: publicAddresses ?? false,
  };
}

/** Google Cloud has no project by default, and machines of nobody cannot be rented. */
function gcpOf(settings: Settings): PlatformConfig["gcp"] {
  const regions = settings.read(undefined, "FLOTILLA_GCP_REGIONS", listOf(region));
  const projectId =
    settings.read(undefined, "FLOTILLA_GCP_PROJECT", gcpProject) ??
    settings.read(undefined, "GOOGLE_CLOUD_PROJECT", gcpProject);
  if (regions === undefined) return undefined;
  if (projectId !== undefined) return { projectId, regions };
  throw refusal(
    "FLOTILLA_GCP_REGIONS needs FLOTILLA_GCP_PROJECT, the id of the project that pays; " +
      "`gcloud projects list` shows yours",
  );
}

/** The policy file's, or the default; single settings of the environment go before it. */
function policyOf(settings: Settings): Policy {
  const path = settings.read("policyFile", "FLOTILLA_POLICY", filePath);
  const { optimizer, pool, scheduler } = path === undefined ? DEFAULT_POLICY : policyIn(path);
  const budgetUsd = settings.read(undefined, "FLOTILLA_BUDGET_USD_PER_HOUR", usd);
  const clouds = settings.read(undefined, "FLOTILLA_CLOUDS", listOf(oneOf(CLOUD_NAMES)));
  const regions = settings.read(undefined, "FLOTILLA_REGIONS", listOf(region));
  return {
    optimizer: {
      ...optimizer,
      solver: settings.read(undefined, "FLOTILLA_SOLVER", oneOf(SOLVERS)) ?? optimizer.solver,
      spotAllowed: settings.read(undefined, "FLOTILLA_SPOT", onOrOff) ?? optimizer.spotAllowed,
      ...(budgetUsd === undefined ? {} : { budgetMicroUsdPerHourMax: microUsdFromUsd(budgetUsd) }),
      ...(clouds === undefined ? {} : { clouds }),
      ...(regions === undefined ? {} : { regions }),
    },
    pool: {
      ...pool,
      idleReleaseMs:
        settings.read(undefined, "FLOTILLA_IDLE_RELEASE_MS", wholeNumber(0, DAY_MS)) ??
        pool.idleReleaseMs,
      nodeCountMax:
        settings.read(undefined, "FLOTILLA_NODES_MAX", wholeNumber(0, 100_000)) ??
        pool.nodeCountMax,
    },
    scheduler,
  };
}

function policyIn(path: string): Policy {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw refusal(`cannot read the policy ${path}: ${messageOf(error)}`);
  }
  return parsePolicy(text, path).policy;
}

const FLAG_NAMES: Readonly<Record<keyof ConfigFlags, string>> = {
  dataDir: "--data",
  host: "--host",
  port: "--port",
  redisUrl: "--redis-url",
  policyFile: "--policy",
  logLevel: "--log-level",
  emulatedClouds: "--emulated-clouds",
  emulatedBootMs: "--emulated-boot-ms",
  localGpus: "--local-gpus",
  unisolated: "--unisolated",
};

/** Finds settings, and names them as the user did when they are wrong. */
class Settings {
  readonly #flags: ConfigFlags;
  readonly #env: Environment;

  constructor(flags: ConfigFlags, env: Environment) {
    this.#flags = flags;
    this.#env = env;
  }

  /** The setting's value; undefined when nobody gave one. @throws PlatformError */
  read<Value>(
    flag: keyof ConfigFlags | undefined,
    variable: string,
    parse: Parse<Value>,
  ): Value | undefined {
    const flagged = flag === undefined ? undefined : this.#flags[flag];
    if (flag !== undefined && flagged !== undefined) {
      return parsed(FLAG_NAMES[flag], String(flagged), parse);
    }
    const text = this.#env[variable]?.trim() ?? "";
    return text === "" ? undefined : parsed(variable, text, parse);
  }
}

function parsed<Value>(name: string, text: string, parse: Parse<Value>): Value {
  const result = parse(text);
  if ("value" in result) return result.value;
  // A wrong URL may hold a password: what was given is shown only where it cannot.
  const isSecret = result.isSecret === true || text.includes("@");
  const given = isSecret ? "" : `, not "${text.slice(0, 80)}"`;
  throw refusal(`${name} takes ${result.expects}${given}`);
}

function defaultDataDir(env: Environment): string {
  const home = env["FLOTILLA_HOME"];
  const isGiven = home !== undefined && home !== "";
  return join(isGiven ? resolve(home) : join(homedir(), ".flotilla"), "data");
}

/** Settings that would change where data goes must not be passed over in silence. */
function refuseUnsupported(env: Environment): void {
  if ((env["FLOTILLA_DATABASE_URL"] ?? "") === "") return;
  throw refusal("FLOTILLA_DATABASE_URL is not supported by this version; records live in --data");
}

function refusal(message: string): PlatformError {
  return new PlatformError(message, { code: "invalid_request", retryable: false });
}
