/** `flotilla config`: profiles of servers, in a file that its owner alone can read. */
import { randomUUID } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import {
  CONFIG_FILE,
  LOCAL_PROFILE,
  readConfigFile,
  type ConfigFile,
  type Profile,
} from "../../client/config-file.ts";
import { homeDir } from "../../client/home.ts";
import { NotFoundError, UsageError } from "../../errors.ts";
import { tableOf } from "../table.ts";
import { printData, printJson, printProgress } from "../terminal.ts";

interface Options {
  readonly json?: boolean;
  readonly profile?: string;
}

const FIELD_OF = {
  "server-url": "serverUrl",
  token: "token",
  workspace: "workspace",
} as const satisfies Readonly<Record<string, keyof Profile>>;
type Key = keyof typeof FIELD_OF;

const PROFILE_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

export async function listProfiles(options: Options): Promise<void> {
  const config = await readConfig();
  const inUse = nameInUse(config);
  const profiles = Object.entries(config.profiles).map(([name, profile]) => ({
    name,
    inUse: name === inUse,
    serverUrl: profile.serverUrl ?? null,
    workspace: profile.workspace ?? null,
    hasToken: profile.token !== undefined,
  }));
  const local = { name: LOCAL_PROFILE, inUse: inUse === LOCAL_PROFILE };
  if (options.json === true) {
    printJson({ inUse, profiles });
    return;
  }
  const rows = [
    [marked(local), "the platform of this machine", "", ""],
    ...profiles.map((each) => [
      marked(each),
      each.serverUrl ?? "none",
      each.workspace ?? "the token's",
      each.hasToken ? "set" : "none",
    ]),
  ];
  printData(tableOf(["PROFILE", "SERVER", "WORKSPACE", "TOKEN"], rows));
}

/** @throws NotFoundError for what is not set */
export async function getSetting(key: string, options: Options): Promise<void> {
  const config = await readConfig();
  const name = options.profile ?? nameInUse(config);
  const value = key === "profile" ? name : profileOf(config, name)[FIELD_OF[shownKey(key)]];
  if (value === undefined) throw new NotFoundError(`profile ${name} has no ${key}`);
  if (options.json === true) printJson({ profile: name, key, value });
  else printData(value);
}

/** @throws UsageError for a value that cannot be right */
export async function setSetting(key: string, given: string, options: Options): Promise<void> {
  const field = FIELD_OF[checkedKey(key)];
  const value = given === "-" ? (await textOf(process.stdin)).trim() : given;
  if (value === "") throw new UsageError(`${key} needs a value`);
  if (field === "serverUrl" && !/^https?:$/.test(URL.parse(value)?.protocol ?? "")) {
    throw new UsageError(`"${value}" is no server address: write it as https://host:port`);
  }
  const config = await readConfig();
  const name = namedProfile(config, options);
  const known = Object.hasOwn(config.profiles, name) ? config.profiles[name] : {};
  const profile = { ...known, [field]: value };
  await writeConfig({ ...config, profiles: { ...config.profiles, [name]: profile } });
  say(options, { profile: name, key, state: "set" }, `Set ${key} of profile ${name}`);
}

/** @throws NotFoundError for a profile that there is not */
export async function unsetSetting(key: string, options: Options): Promise<void> {
  const field = FIELD_OF[checkedKey(key)];
  const config = await readConfig();
  const name = namedProfile(config, options);
  const kept = Object.entries(profileOf(config, name)).filter(([each]) => each !== field);
  const profile = Object.fromEntries(kept);
  await writeConfig({ ...config, profiles: { ...config.profiles, [name]: profile } });
  say(options, { profile: name, key, state: "unset" }, `Forgot ${key} of profile ${name}`);
}

/** @throws NotFoundError for a profile that there is not */
export async function chooseProfile(name: string, options: Options): Promise<void> {
  const config = await readConfig();
  if (name !== LOCAL_PROFILE) profileOf(config, name);
  await writeConfig({ ...config, profile: name });
  say(options, { profile: name, state: "in use" }, `Profile ${name} is in use`);
}

/** @throws NotFoundError for a profile that there is not */
export async function removeProfile(name: string, options: Options): Promise<void> {
  const config = await readConfig();
  profileOf(config, name);
  const kept = Object.entries(config.profiles).filter(([each]) => each !== name);
  const profiles = Object.fromEntries(kept);
  const profile = config.profile === name ? LOCAL_PROFILE : config.profile;
  await writeConfig({ ...(profile === undefined ? {} : { profile }), profiles });
  say(options, { profile: name, state: "removed" }, `Removed profile ${name}`);
}

function say(options: Options, json: Readonly<Record<string, string>>, line: string): void {
  if (options.json === true) printJson(json);
  else printProgress(line);
}

function marked({ name, inUse }: { readonly name: string; readonly inUse: boolean }): string {
  return inUse ? `${name} (in use)` : name;
}

function nameInUse(config: ConfigFile): string {
  const { FLOTILLA_PROFILE: chosen = "" } = process.env;
  return chosen === "" ? (config.profile ?? LOCAL_PROFILE) : chosen;
}

/** The profile that a change is meant for. */
function namedProfile(config: ConfigFile, { profile }: Options): string {
  const name = profile ?? nameInUse(config);
  if (name === LOCAL_PROFILE) {
    throw new UsageError(
      `the profile "${LOCAL_PROFILE}" is what \`flotilla up\` writes and cannot be changed`,
      "name another one with --profile",
    );
  }
  if (PROFILE_NAME.test(name)) return name;
  throw new UsageError(`"${name}" is no name of a profile: use a-z, 0-9 and -`);
}

function profileOf(config: ConfigFile, name: string): Profile {
  const profile = Object.hasOwn(config.profiles, name) ? config.profiles[name] : undefined;
  if (profile !== undefined) return profile;
  throw new NotFoundError(
    `there is no profile "${name}"`,
    "see those there are with `flotilla config list`",
  );
}

function checkedKey(key: string): Key {
  if (isKey(key)) return key;
  throw new UsageError(
    `there is no setting "${key}"`,
    `there are ${Object.keys(FIELD_OF).join(", ")}`,
  );
}

function shownKey(key: string): Key {
  if (key === "token") throw new UsageError("a token is not shown once it is set");
  return checkedKey(key);
}

function isKey(key: string): key is Key {
  return Object.hasOwn(FIELD_OF, key);
}

async function readConfig(): Promise<ConfigFile> {
  return readConfigFile(await homeDir(process.env));
}

/** Whole or not at all, and never readable by others. */
async function writeConfig(config: ConfigFile): Promise<void> {
  const dir = await homeDir(process.env);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, CONFIG_FILE);
  const made = `${path}.${randomUUID()}`;
  try {
    await writeFile(made, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600, flag: "wx" });
    await rename(made, path);
  } finally {
    await rm(made, { force: true });
  }
}
