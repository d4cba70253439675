/**
 * The file through which a started platform tells clients of the same user where it is:
 * `client.json` in the home folder of Flotilla.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { PlatformError } from "../../core/index.ts";

/** Where a server is and what opens it. */
export interface ClientSettings {
  readonly serverUrl: string;
  readonly token: string;
}

/** Folder of the user's settings: `FLOTILLA_HOME`, or `.flotilla` in the home folder. */
export function flotillaHome(env: NodeJS.ProcessEnv = process.env): string {
  const home = env["FLOTILLA_HOME"] ?? "";
  return home === "" ? join(homedir(), ".flotilla") : resolve(home);
}

/** The path of the settings file. */
export function clientFilePath(env: NodeJS.ProcessEnv = process.env): string {
  return join(flotillaHome(env), "client.json");
}

/**
 * Settings of the environment (`FLOTILLA_SERVER_URL`, `FLOTILLA_TOKEN`) over those of the file;
 * what neither names is absent. The file's token is for the file's server only.
 *
 * @throws PlatformError `invalid_request` when the server's address is none.
 */
export function readClientSettings(env: NodeJS.ProcessEnv = process.env): Partial<ClientSettings> {
  const stored = readStored(clientFilePath(env));
  const serverUrl = addressOf(env["FLOTILLA_SERVER_URL"] ?? stored.serverUrl);
  const isStoredServer = serverUrl !== undefined && serverUrl === addressOf(stored.serverUrl);
  const token = env["FLOTILLA_TOKEN"] ?? (isStoredServer ? stored.token : undefined);
  return {
    ...(serverUrl === undefined ? {} : { serverUrl }),
    ...(token === undefined ? {} : { token }),
  };
}

/** Writes the file in one step, readable by its owner only. */
export function writeClientSettings(
  settings: ClientSettings,
  env: NodeJS.ProcessEnv = process.env,
): void {
  const path = clientFilePath(env);
  mkdirSync(flotillaHome(env), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(settings, undefined, 2)}\n`, { mode: 0o600 });
  chmodSync(draft, 0o600);
  renameSync(draft, path);
}

/** The address without a slash at its end. */
function addressOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol)) return url.href.replace(/\/+$/, "");
  throw new PlatformError(
    `"${text}" is no server address: write it as http://127.0.0.1:7070, in FLOTILLA_SERVER_URL`,
    { code: "invalid_request", retryable: false },
  );
}

function readStored(path: string): Partial<ClientSettings> {
  if (!existsSync(path)) return {};
  const value: unknown = JSON.parse(readFileSync(path, "utf8"));
  if (typeof value !== "object" || value === null) return {};
  return {
    ...("serverUrl" in value && typeof value.serverUrl === "string"
      ? { serverUrl: value.serverUrl }
      : {}),
    ...("token" in value && typeof value.token === "string" ? { token: value.token } : {}),
  };
}
