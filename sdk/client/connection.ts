/** Which server to talk to, and with which token. */
import { chosenProfile, readConfigFile, type Profile } from "./config-file.ts";
import { homeDir, readIfThere } from "./home.ts";
import { AuthError, ServerUnreachableError, UsageError } from "../errors.ts";

/** What the caller may say; each part left out comes from the environment, then the profile. */
export interface ConnectionOptions {
  /** Such as `http://127.0.0.1:7070`. Else FLOTILLA_SERVER_URL, else the profile, else `client.json`. */
  readonly serverUrl?: string;
  /** Else FLOTILLA_TOKEN, else the profile's or `client.json`'s, for its own server only. */
  readonly token?: string;
  /** Name of the workspace that is meant; else FLOTILLA_WORKSPACE, else the token's own. */
  readonly workspace?: string;
}

export interface Connection {
  /** Without a slash at the end. */
  readonly serverUrl: string;
  readonly token: string;
  /** Absent: the token's own. */
  readonly workspace?: string;
}

/**
 * The connection that `options`, the environment, the profile in use (`config.json`) and
 * `client.json` in FLOTILLA_HOME (or `~/.flotilla`) give, in this order. A file's token is only
 * sent to the file's server.
 *
 * @throws ServerUnreachableError, AuthError when there is no server or no token anywhere;
 *   UsageError for a file that cannot be read and a profile that there is not.
 */
export async function resolveConnection(options: ConnectionOptions): Promise<Connection> {
  const env = environment();
  const givenUrl = options.serverUrl ?? env.FLOTILLA_SERVER_URL;
  const givenToken = options.token ?? env.FLOTILLA_TOKEN;
  const isGiven = givenUrl !== undefined && givenToken !== undefined;
  const file = (isGiven ? undefined : await readFiles(env)) ?? {};
  const serverUrl = normaliseUrl(givenUrl ?? file.serverUrl);
  // What a file says is for its own server.
  const own = isServerOf(file, serverUrl) ? file : {};
  const token = givenToken ?? own.token;
  if (token === undefined) throw new AuthError(`there is no token for the server at ${serverUrl}`);
  return { serverUrl, token, ...workspaceOf(options, env, own) };
}

function isServerOf(file: Profile, serverUrl: string): boolean {
  return file.serverUrl !== undefined && normaliseUrl(file.serverUrl) === serverUrl;
}

/** An empty name is none. */
function workspaceOf(
  options: ConnectionOptions,
  env: Environment,
  file: Pick<Profile, "workspace">,
): Pick<Connection, "workspace"> {
  const workspace = options.workspace ?? env.FLOTILLA_WORKSPACE ?? file.workspace ?? "";
  return workspace === "" ? {} : { workspace };
}

type Environment = Readonly<Record<string, string | undefined>>;

function environment(): Environment {
  const runtime = globalThis as { readonly process?: { readonly env: Environment } };
  return runtime.process?.env ?? {};
}

function normaliseUrl(text: string | undefined): string {
  if (text === undefined) {
    throw new ServerUnreachableError("no Flotilla server is set up on this machine");
  }
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`"${text}" is no server address: write it as http://127.0.0.1:7070`);
  }
  return url.href.replace(/\/+$/, "");
}

/** What is used of the files: the profile in use, or what `flotilla up` wrote. */
async function readFiles(env: Environment): Promise<Profile | undefined> {
  const dir = await homeDir(env);
  const profile = chosenProfile(await readConfigFile(dir), env.FLOTILLA_PROFILE);
  if (profile !== undefined) return profile;
  const client = `${dir}/client.json`;
  const text = await readIfThere(client);
  return text === undefined ? undefined : parseClientFile(client, text);
}

function parseClientFile(path: string, text: string): Profile {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null) {
      const { serverUrl, token } = parsed as Readonly<Record<string, unknown>>;
      return {
        ...(typeof serverUrl === "string" ? { serverUrl } : {}),
        ...(typeof token === "string" ? { token } : {}),
      };
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new UsageError(`${path} is not the JSON that \`flotilla up\` writes`, "run `flotilla up`");
}
