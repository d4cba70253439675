/** Profiles: servers that a user names once, in `config.json` beside `client.json`. */
import { UsageError } from "../errors.ts";
import { readIfThere } from "./home.ts";

/** One server to talk to, and as whom. */
export interface Profile {
  readonly serverUrl?: string;
  readonly token?: string;
  readonly workspace?: string;
}

/** What `config.json` holds. */
export interface ConfigFile {
  /** The profile in use; absent: the platform of this machine. */
  readonly profile?: string;
  readonly profiles: Readonly<Record<string, Profile>>;
}

/** The name that stands for the platform which `flotilla up` starts on this machine. */
export const LOCAL_PROFILE = "local";

const FIELDS = ["serverUrl", "token", "workspace"] as const;

/** The name of the file in the user's folder. */
export const CONFIG_FILE = "config.json";

/** What the file in `dir` says; without one there is no profile. @throws UsageError for a wrong one */
export async function readConfigFile(dir: string): Promise<ConfigFile> {
  const path = `${dir}/${CONFIG_FILE}`;
  const text = await readIfThere(path);
  return text === undefined ? { profiles: {} } : parseConfigFile(path, text);
}

function parseConfigFile(path: string, text: string): ConfigFile {
  const parsed = objectOf(path, parseJson(path, text));
  const { profile, profiles = {} } = parsed;
  const named = Object.entries(objectOf(path, profiles)).map(([name, value]) => {
    const given = objectOf(path, value);
    const known = FIELDS.flatMap((field): [string, string][] => {
      const text = given[field];
      return typeof text === "string" ? [[field, text]] : [];
    });
    return [name, Object.fromEntries(known)] as const;
  });
  return {
    ...(typeof profile === "string" ? { profile } : {}),
    profiles: Object.fromEntries(named),
  };
}

/**
 * The profile that `name` (FLOTILLA_PROFILE) or else the file chooses; undefined for this
 * machine's own platform. @throws UsageError for one that there is not
 */
export function chosenProfile(config: ConfigFile, name: string | undefined): Profile | undefined {
  const chosen = name === undefined || name === "" ? config.profile : name;
  if (chosen === undefined || chosen === LOCAL_PROFILE) return undefined;
  const profile = Object.hasOwn(config.profiles, chosen) ? config.profiles[chosen] : undefined;
  if (profile !== undefined) return profile;
  throw new UsageError(
    `there is no profile "${chosen}"`,
    "see those there are with `flotilla config list`, or make it with `flotilla config set`",
  );
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw wrongFile(path);
  }
}

function objectOf(path: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrongFile(path);
  return value as Readonly<Record<string, unknown>>;
}

function wrongFile(path: string): UsageError {
  return new UsageError(
    `${path} is not the JSON that \`flotilla config\` writes`,
    "mend it by hand, or remove it and set the profiles anew",
  );
}
