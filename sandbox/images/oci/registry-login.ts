/**
 * Who asks a registry, from the values of a secret: a user name and password, or what Docker keeps
 * in its `config.json`. Nothing here puts a value into a message.
 */
import { PlatformError } from "../../../core/index.ts";

/** A name and a password, for one registry. */
export interface RegistryLogin {
  readonly username: string;
  readonly password: string;
}

/** Variables of a secret that hold a login. */
export const USERNAME_KEY = "REGISTRY_USERNAME";
export const PASSWORD_KEY = "REGISTRY_PASSWORD";
/** The variable that holds a `config.json` of Docker, with logins by registry. */
export const DOCKER_CONFIG_KEY = "DOCKER_CONFIG_JSON";

/** Docker Hub is known to Docker by the address of its first interface. */
const DOCKER_HUB = "registry-1.docker.io";
const DOCKER_HUB_NAMES = ["https://index.docker.io/v1/", "index.docker.io", "docker.io"];

/**
 * The login for a registry such as `ghcr.io` or `localhost:5000`.
 *
 * Source of the format: docker.com, "docker login", credential storage (2025-06).
 * @throws PlatformError `invalid_request` saying what the secret lacks.
 */
export function registryLoginOf(
  values: Readonly<Record<string, string>>,
  registry: string,
  secret: string,
): RegistryLogin {
  const username = values[USERNAME_KEY];
  const password = values[PASSWORD_KEY];
  if (username !== undefined && password !== undefined) {
    if (username.includes(":")) throw wrong(`${USERNAME_KEY} of secret ${secret} has a ":"`);
    return { username, password };
  }
  const config = values[DOCKER_CONFIG_KEY];
  if (config === undefined) {
    throw wrong(
      `secret ${secret} holds no login of a registry: give it ${USERNAME_KEY} and ` +
        `${PASSWORD_KEY}, or ${DOCKER_CONFIG_KEY}`,
    );
  }
  return loginIn(config, registry, secret);
}

/** What goes into the header `authorization`, as of RFC 7617 in UTF-8. */
export function basicAuthorization({ username, password }: RegistryLogin): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function loginIn(config: string, registry: string, secret: string): RegistryLogin {
  const names = registry === DOCKER_HUB ? [registry, ...DOCKER_HUB_NAMES] : [registry];
  const auths = fieldOf(parsed(config, secret), "auths");
  const entry = names
    .flatMap((name) => [name, `https://${name}`, `https://${name}/v1/`, `https://${name}/v2/`])
    .map((name) => fieldOf(auths, name))
    .find((found) => found !== undefined);
  if (entry === undefined) {
    throw wrong(`${DOCKER_CONFIG_KEY} of secret ${secret} has no login for ${registry}`);
  }
  const [username, password] = [fieldOf(entry, "username"), fieldOf(entry, "password")];
  if (typeof username === "string" && typeof password === "string") return { username, password };
  const auth = fieldOf(entry, "auth");
  const text = typeof auth === "string" ? Buffer.from(auth, "base64").toString() : "";
  const colon = text.indexOf(":");
  if (colon > 0) return { username: text.slice(0, colon), password: text.slice(colon + 1) };
  throw wrong(
    `${DOCKER_CONFIG_KEY} of secret ${secret} names ${registry} without its password: Docker ` +
      "keeps it elsewhere (credsStore); use a user name and a password",
  );
}

function parsed(config: string, secret: string): unknown {
  try {
    return JSON.parse(config) as unknown;
  } catch {
    // The error of the parser would show a piece of the text.
    throw wrong(`${DOCKER_CONFIG_KEY} of secret ${secret} is no JSON`);
  }
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

function wrong(message: string): PlatformError {
  return new PlatformError(message, { code: "invalid_request", retryable: false });
}
