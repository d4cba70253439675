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
  /** Absent: an own redis-server child on a unix socket in `dataDir`. */
  readonly redisUrl?: string;
  readonly policy: Policy;
  /** The node agent for this machine; absent means none. */
  readonly localNode?: LocalNodeConfig;
  /** An emulated EC2 whose instances are agents on this machine; absent means none. */
  readonly emulatedEc2?: EmulatedEc2Config;
  /** Rent from the real AWS with the machine's own credentials. */
  readonly awsRegions: readonly string[];
  /** Where prices are read from, when not from the clouds themselves. */
  readonly priceSources: PriceSources;
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
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
}

export interface EmulatedEc2Config {
  /** From an accepted launch to the instance's agent starting. */
  readonly bootMs: number;
}
