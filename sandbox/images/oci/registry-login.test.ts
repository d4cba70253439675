import { describe, expect, test } from "vitest";
import { basicAuthorization, registryLoginOf } from "./registry-login.ts";

const AUTH = Buffer.from("ann:pa:ss").toString("base64");
const ANN = { username: "ann", password: "pa:ss" };

function config(auths: unknown): Record<string, string> {
  return { DOCKER_CONFIG_JSON: JSON.stringify({ auths }) };
}

test("a name and a password are a login for any registry", () => {
  const values = { REGISTRY_USERNAME: "ann", REGISTRY_PASSWORD: "pa:ss", OTHER: "x" };
  expect(registryLoginOf(values, "ghcr.io", "s")).toEqual(ANN);
  expect(basicAuthorization(ANN)).toBe(`Basic ${AUTH}`);
});

describe("a config.json of Docker", () => {
  test.each([
    ["by its host", { "ghcr.io": { auth: AUTH } }, "ghcr.io"],
    ["by its port too", { "localhost:5000": { auth: AUTH } }, "localhost:5000"],
    ["by its address", { "https://ghcr.io": { auth: AUTH } }, "ghcr.io"],
    ["in two fields", { "ghcr.io": { username: "ann", password: "pa:ss" } }, "ghcr.io"],
    [
      "Docker Hub by its old address",
      { "https://index.docker.io/v1/": { auth: AUTH } },
      "registry-1.docker.io",
    ],
  ])("names a registry %s", (_, auths, registry) => {
    expect(registryLoginOf(config(auths), registry, "s")).toEqual(ANN);
  });

  test.each([
    ["has no login for it", config({ "other.io": { auth: AUTH } }), /no login for ghcr.io/],
    ["is not mistaken for a part of it", config({ io: { auth: AUTH } }), /no login for ghcr.io/],
    ["keeps the password elsewhere", config({ "ghcr.io": {} }), /credsStore/],
    ["has half a login", config({ "ghcr.io": { auth: "YW5u" } }), /without its password/],
    ["has no logins", config(undefined), /no login/],
    ["has logins that are a text", config("x"), /no login/],
    ["is no JSON", { DOCKER_CONFIG_JSON: '{"s3cret' }, /is no JSON/],
    ["is not there", { REGISTRY_USERNAME: "ann" }, /REGISTRY_PASSWORD, or DOCKER_CONFIG_JSON/],
    ["asks for __proto__", config({}), /no login/],
    [
      "has a name with a colon beside it",
      { REGISTRY_USERNAME: "a:b", REGISTRY_PASSWORD: "s3cret" },
      /has a ":"/,
    ],
  ])("that %s is refused without a value in the message", (_, values, message) => {
    const refused = (): unknown => registryLoginOf(values, "ghcr.io", "s");
    expect(refused).toThrow(message);
    expect(refused).not.toThrow(/s3cret|YW5u/);
  });
});
