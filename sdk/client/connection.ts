/** Which server to talk to, and with which token. */
import { AuthError, ServerUnreachableError, UsageError } from "../errors.ts";

/** What the caller may say; each part left out comes from the environment, then the file. */
export interface ConnectionOptions {
  /** Such as `http://127.0.0.1:7070`. Else FLOTILLA_SERVER_URL, else `client.json`. */
  readonly serverUrl?: string;
  /** Else FLOTILLA_TOKEN, else `client.json`. */
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
 * The connection that `options`, the environment and `client.json` in FLOTILLA_HOME (or
 * `~/.flotilla`) give, in this order. The file's token is only sent to the file's server.
 *
 * @throws ServerUnreachableError, AuthError when there is no server or no token anywhere.
 */
export async function resolveConnection(options: ConnectionOptions): Promise<Connection> {
  const env = environment();
  const givenUrl = options.serverUrl ?? env.FLOTILLA_SERVER_URL;
  const givenToken = options.token ?? env.FLOTILLA_TOKEN;
  const file =
    givenUrl !== undefined && givenToken !== undefined ? undefined : await readClientFile(env);
  const serverUrl = normaliseUrl(givenUrl ?? file?.serverUrl);
  const isFilesServer = file?.serverUrl !== undefined && normaliseUrl(file.serverUrl) === serverUrl;
  const token = givenToken ?? (isFilesServer ? file.token : undefined);
  if (token === undefined) throw new AuthError(`there is no token for the server at ${serverUrl}`);
  return { serverUrl, token, ...workspaceOf(options, env) };
}

/** An empty name is none. */
function workspaceOf(options: ConnectionOptions, env: Environment): Pick<Connection, "workspace"> {
  const workspace = options.workspace ?? env.FLOTILLA_WORKSPACE ?? "";
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

interface ClientFile {
  readonly serverUrl?: string;
  readonly token?: string;
}

async function readClientFile(env: Environment): Promise<ClientFile | undefined> {
  const [{ readFile }, { homedir }] = await Promise.all([
    import("node:fs/promises"),
    import("node:os"),
  ]);
  const path = `${env.FLOTILLA_HOME ?? `${homedir()}/.flotilla`}/client.json`;
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (isErrorWithCode(error) && error.code === "ENOENT") return undefined;
    throw new UsageError(`cannot read ${path}: ${String(error)}`);
  }
  return parseClientFile(path, text);
}

function parseClientFile(path: string, text: string): ClientFile {
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

function isErrorWithCode(error: unknown): error is Error & { readonly code: unknown } {
  return error instanceof Error && "code" in error;
}
