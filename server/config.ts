/** Settings of the platform: the only place that reads the environment. */
import type { Policy } from "../core/index.ts";

export interface PlatformConfig {
  /** Everything that must survive lives here. */
  readonly dataDir: string;
  /** Address to listen on; loopback by default. */
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** Where rented machines reach this server; absent means the address it listens on. */
  readonly publicUrl?: string;
  /** Requests that one token may send in a second; absent means the server's default. */
  readonly requestsPerSecondMax?: number;
  /** JSON of what containers cost (docs/usage.md); absent means prices of the catalog. */
  readonly ratesFile?: string;
  /** Absent: an own redis-server child on a unix socket in `dataDir`. */
  readonly redisUrl?: string;
  /** The S3-compatible store of code and payloads; absent means a folder in `dataDir`. */
  readonly blobStore?: BlobStoreConfig;
  /** Encrypts the keys of secrets, 32 bytes; absent means a key in a file in `dataDir`. */
  readonly secretKey?: Uint8Array;
  /** What `flotilla secret rotate-key` changes it to. */
  readonly secretKeyNext?: Uint8Array;
  readonly policy: Policy;
  /** The node agent for this machine; absent means none. */
  readonly localNode?: LocalNodeConfig;
  /** Private ranges that containers may reach where their function is allowed to. */
  readonly egressOpenRanges?: readonly string[];
  /** Port on which rented machines give each other chunks of images, 0 for any; absent: none do. */
  readonly peerPort?: number;
  /** Emulated clouds, and then no real ones; absent means none. */
  readonly emulatedClouds?: EmulatedCloudsConfig;
  /** Rent from the real AWS with the machine's own credentials. */
  readonly awsRegions: readonly string[];
  /** Rent from the real Azure with the machine's own credentials; absent means none. */
  readonly azure?: AzureConfig;
  /** Rent from the real Google Cloud with the machine's own credentials; absent means not. */
  readonly gcp?: GcpConfig;
  /** Where prices are read from, when not from the clouds themselves. */
  readonly priceSources: PriceSources;
  /** `host:port` of registries that images may come from although they are not public. */
  readonly imageRegistries: readonly string[];
  /** What built images and their layers may take on the disk. */
  readonly imageDiskBytesMax: number;
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
}

export interface BlobStoreConfig {
  readonly bucket: string;
  /** Begins the name of every object; may be empty. */
  readonly prefix: string;
  /** Address of a store that is not Amazon's. */
  readonly endpoint?: string;
}

/** Addresses of price lists, for mirrors; absent ones are those of the clouds. */
export interface PriceSources {
  readonly awsUrl?: string;
  readonly awsSpotUrl?: string;
  readonly gcpUrl?: string;
  /** API key for Google Cloud's list, which gives nothing without one. */
  readonly gcpKey?: string;
  readonly azureUrl?: string;
}

export interface LocalNodeConfig {
  /** `process` is no isolation and must be asked for. */
  readonly isolation: "gvisor" | "process";
  /** Emulated GPUs such as `H100:8`. */
  readonly emulatedGpus?: string;
  /** What the machine costs its owner; absent means nothing. */
  readonly priceMicroUsdPerHour?: number;
}

export interface AzureConfig {
  readonly subscriptionId: string;
  /** Holds the machines and their networks; must exist. */
  readonly resourceGroup: string;
  readonly regions: readonly string[];
  /** Resource id of a machine image, or `publisher:offer:sku:version`. */
  readonly image?: string;
  /** Whether each machine gets a public address of its own. */
  readonly publicAddresses: boolean;
}

/** Clouds that can be emulated, their machines being agents on this machine. */
export const EMULATED_CLOUDS = ["aws", "gcp", "azure"] as const;
export type EmulatedCloud = (typeof EMULATED_CLOUDS)[number];

export interface EmulatedCloudsConfig {
  /** At least one, each once. */
  readonly clouds: readonly EmulatedCloud[];
  /** From an accepted launch to the machine's agent starting. */
  readonly bootMs: number;
}

export interface GcpConfig {
  readonly projectId: string;
  /** Regions to rent in, at least one. */
  readonly regions: readonly string[];
}
