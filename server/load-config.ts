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
  GPU_TYPES,
  messageOf,
  microUsdFromUsd,
  PlatformError,
  type Policy,
} from "../core/index.ts";
import { nearestWord } from "../documents/index.ts";
import { parseRanges, parseS3Url } from "../sandbox/index.ts";
import {
  EMULATED_CLOUDS,
  type EmulatedCloud,
  type PlatformConfig,
  type PriceSources,
} from "./config.ts";
import { parsePolicy } from "./policy/parse-policy.ts";
import { parseSecretKey } from "./secrets/secret-key.ts";

export const DEFAULT_PORT = 7070;
const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_EMULATED_BOOT_MS = 3_000;
const EMULATED_BOOT_MS_MAX = 3_600_000;
const DEFAULT_IMAGE_DISK_GB = 50;
const BYTES_PER_GB = 1_000_000_000;
const DAY_MS = 86_400_000;
const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
const SOLVERS = ["highs", "glpk", "javascript-lp"] as const;
/** Most emulated GPUs of one machine. */
const LOCAL_GPUS_MAX = 16;

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
    ...(requestsPerSecondMax === undefined ? {} : { requestsPerSecondMax }),
    ...blobStoreOf(settings),
    ...secretKeysOf(settings),
    policy: policyOf(settings),
    ...(localNode === undefined ? {} : { localNode }),
    ...(egressOpenRanges === undefined ? {} : { egressOpenRanges }),
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

function blobStoreOf(settings: Settings): Pick<PlatformConfig, "blobStore"> {
  const place = settings.read(undefined, "FLOTILLA_BLOB_STORE", s3Url);
  const endpoint = settings.read(undefined, "FLOTILLA_BLOB_STORE_ENDPOINT", httpUrl);
  if (place !== undefined) {
    return { blobStore: { ...place, ...(endpoint === undefined ? {} : { endpoint }) } };
  }
  if (endpoint === undefined) return {};
  throw refusal("FLOTILLA_BLOB_STORE_ENDPOINT needs FLOTILLA_BLOB_STORE, such as s3://bucket");
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

/** A text as a value; or, when it is none, what would be. */
type Parse<Value> = (
  text: string,
) => { readonly value: Value } | { readonly expects: string; readonly isSecret?: true };

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

function wholeNumber(min: number, max: number): Parse<number> {
  return (text) => {
    const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return { value };
    return { expects: `a whole number from ${min} to ${max}` };
  };
}

function usd(text: string): ReturnType<Parse<number>> {
  const value = /^[0-9]{1,9}(\.[0-9]{1,6})?$/.test(text) ? Number(text) : Number.NaN;
  return value >= 0 ? { value } : { expects: "an amount of dollars such as 12.50" };
}

function onOrOff(text: string): ReturnType<Parse<boolean>> {
  const word = text.toLowerCase();
  if (["1", "true", "on", "yes"].includes(word)) return { value: true };
  if (["0", "false", "off", "no"].includes(word)) return { value: false };
  return { expects: "on or off" };
}

function oneOf<Word extends string>(words: readonly Word[]): Parse<Word> {
  return (text) => {
    const value = words.find((word) => word === text);
    if (value !== undefined) return { value };
    const near = nearestWord(text, words);
    const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
    return { expects: `one of ${words.join(", ")}${hint}` };
  };
}

function addressRange(text: string): ReturnType<Parse<string>> {
  if (parseRanges([text]) !== undefined) return { value: text };
  return { expects: "a range of addresses such as 10.1.0.0/16" };
}

function listOf<Item>(parse: Parse<Item>): Parse<readonly Item[]> {
  return (text) => {
    const value: Item[] = [];
    for (const part of text.split(",")) {
      const item = parse(part.trim());
      if (!("value" in item)) return { expects: `a list with commas, each ${item.expects}` };
      value.push(item.value);
    }
    return { value };
  };
}

/** All, none, or those named, in the order in which they are started. */
function emulatedCloudList(text: string): ReturnType<Parse<readonly EmulatedCloud[]>> {
  const isAll = onOrOff(text);
  if ("value" in isAll) return { value: isAll.value ? EMULATED_CLOUDS : [] };
  const words = text.split(",").map((word) => word.trim().toLowerCase());
  const isKnown = (word: string): boolean => EMULATED_CLOUDS.some((cloud) => cloud === word);
  const wrong = words.find((word) => !isKnown(word));
  if (wrong === undefined) return { value: EMULATED_CLOUDS.filter((one) => words.includes(one)) };
  const near = nearestWord(wrong, [...EMULATED_CLOUDS, "on", "off"]);
  const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
  const list = "a list with commas of aws, gcp and azure";
  return { expects: `on, off, or ${list}${hint}` };
}

function region(text: string): ReturnType<Parse<string>> {
  const isRegion = /^[a-z]{2,}[a-z0-9-]{0,60}$/.test(text);
  return isRegion ? { value: text } : { expects: "a region such as us-east-1" };
}

function azureName(text: string): ReturnType<Parse<string>> {
  const isName = /^[\w().-]{1,90}$/.test(text);
  return isName ? { value: text } : { expects: "a name or an id of Azure, without slashes" };
}

function azureImage(text: string): ReturnType<Parse<string>> {
  const isImage = /^\/subscriptions\/\S+$/i.test(text) || /^[^:\s]+(:[^:\s]+){3}$/.test(text);
  return isImage
    ? { value: text }
    : { expects: "the resource id of an image, or publisher:offer:sku:version" };
}

/** Source of the form: Google Cloud documentation, project ids (read 2026-11). */
function gcpProject(text: string): ReturnType<Parse<string>> {
  const isProject = /^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$/.test(text);
  return isProject ? { value: text } : { expects: "the id of a project such as my-project-123" };
}

function folder(text: string): ReturnType<Parse<string>> {
  return pathOf(text, "the path of a folder");
}

function filePath(text: string): ReturnType<Parse<string>> {
  return pathOf(text, "the path of a file");
}

function pathOf(text: string, expects: string): ReturnType<Parse<string>> {
  const isPath = text.trim() !== "" && !text.includes("\0");
  return isPath ? { value: resolve(text) } : { expects };
}

function hostName(text: string): ReturnType<Parse<string>> {
  const isHost = /^[A-Za-z0-9.:_-]{1,253}$/.test(text);
  return isHost ? { value: text } : { expects: "an address to listen on such as 127.0.0.1" };
}

function redisUrlOf(text: string): ReturnType<Parse<string>> {
  const url = URL.parse(text);
  const isRedis = url !== null && /^rediss?:$/.test(url.protocol) && url.host !== "";
  return isRedis ? { value: text } : { expects: "a URL such as redis://localhost:6379/0" };
}

function s3Url(text: string): ReturnType<Parse<NonNullable<ReturnType<typeof parseS3Url>>>> {
  const place = parseS3Url(text);
  return place === undefined
    ? { expects: "a bucket such as s3://bucket/prefix" }
    : { value: place };
}

function httpUrl(text: string): ReturnType<Parse<string>> {
  const url = URL.parse(text);
  const isHttp = url !== null && /^https?:$/.test(url.protocol) && url.host !== "";
  if (!isHttp || url.search !== "")
    return { expects: "a URL such as https://flotilla.example.com" };
  return { value: text.replace(/\/+$/, "") };
}

function registryHosts(text: string): ReturnType<Parse<readonly string[]>> {
  const hosts = text.split(",").map((host) => host.trim().toLowerCase());
  const isRight = hosts.every((host) => /^[a-z0-9.-]{1,253}:[0-9]{1,5}$/.test(host));
  return isRight ? { value: hosts } : { expects: "host:port, or several with commas between" };
}

function apiKey(text: string): ReturnType<Parse<string>> {
  const isKey = /^[A-Za-z0-9_-]{8,200}$/.test(text);
  if (isKey) return { value: text };
  return { expects: "an API key: 8 or more letters, digits, - and _", isSecret: true };
}

function secretKeyIn(text: string): ReturnType<Parse<Uint8Array>> {
  const value = parseSecretKey(text);
  if (value !== undefined) return { value };
  return {
    expects: "32 bytes in hexadecimal or base64, as of `openssl rand -hex 32`",
    isSecret: true,
  };
}

function emulatedGpusOf(text: string): ReturnType<Parse<string>> {
  const [name = "", count = "1", ...rest] = text.split(":");
  const isType = GPU_TYPES.some((type) => type === name);
  const isCount = /^[1-9][0-9]?$/.test(count) && Number(count) <= LOCAL_GPUS_MAX;
  if (isType && isCount && rest.length === 0) return { value: `${name}:${count}` };
  const near = isType ? undefined : nearestWord(name, GPU_TYPES);
  const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
  return { expects: `a GPU type and how many, 1 to ${LOCAL_GPUS_MAX}, such as H100:8${hint}` };
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
