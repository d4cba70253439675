/** What the command line said, in the terms of the settings. */
import type { ConfigFlags } from "../load-config.ts";
import { CommandError } from "./outcome.ts";

/** What the command line may say to `up`; absent options take their defaults. */
export interface UpOptions {
  readonly detach?: boolean;
  readonly data?: string;
  readonly port?: string;
  /** True when no list was given with it. */
  readonly emulatedClouds?: string | true;
  readonly emulatedBootMs?: string;
  readonly localGpus?: string;
  readonly host?: string;
  readonly redisUrl?: string;
  readonly policy?: string;
  readonly logLevel?: string;
  readonly unisolated?: boolean;
  readonly json?: boolean;
}

/** Flags for `loadConfig`; options that were not given stay absent. @throws CommandError */
export function flagsOf(options: UpOptions): ConfigFlags {
  const port = wholeNumber("--port", options.port, 65_535);
  const bootMs = wholeNumber("--emulated-boot-ms", options.emulatedBootMs, 3_600_000);
  const emulatedClouds = options.emulatedClouds === true ? "on" : options.emulatedClouds;
  return {
    ...(options.data === undefined ? {} : { dataDir: options.data }),
    ...(port === undefined ? {} : { port }),
    ...(emulatedClouds === undefined ? {} : { emulatedClouds }),
    ...(bootMs === undefined ? {} : { emulatedBootMs: bootMs }),
    ...(options.localGpus === undefined ? {} : { localGpus: options.localGpus }),
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.redisUrl === undefined ? {} : { redisUrl: options.redisUrl }),
    ...(options.policy === undefined ? {} : { policyFile: options.policy }),
    ...(options.logLevel === undefined ? {} : { logLevel: options.logLevel }),
    ...(options.unisolated === true ? { unisolated: true } : {}),
  };
}

function wholeNumber(flag: string, text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value <= max) return value;
  throw new CommandError("usage", `${flag} takes a whole number from 0 to ${max}, not ${text}`);
}
