import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DEFAULT_POLICY, PlatformError } from "../core/index.ts";
import { loadConfig, type ConfigFlags } from "./load-config.ts";

test("nothing given is an isolated node on this machine, reachable from this machine only", () => {
  expect(loadConfig({}, {})).toEqual({
    dataDir: join(homedir(), ".flotilla", "data"),
    host: "127.0.0.1",
    port: 7070,
    policy: DEFAULT_POLICY,
    localNode: { isolation: "gvisor" },
    awsRegions: [],
    logLevel: "info",
    priceSources: {},
    imageRegistries: [],
    imageDiskBytesMax: 50_000_000_000,
  });
});

test("the command line comes before the environment, which comes before the default", () => {
  const env = { FLOTILLA_PORT: "8000", FLOTILLA_DATA_DIR: "/from/env", FLOTILLA_LOG_LEVEL: "" };
  const config = loadConfig({ port: 9000 }, env);
  expect(config).toMatchObject({ port: 9000, dataDir: "/from/env", logLevel: "info" });
});

test("a data folder may be relative, and stands in FLOTILLA_HOME by default", () => {
  expect(loadConfig({ dataDir: "here" }, {}).dataDir).toBe(resolve("here"));
  expect(loadConfig({}, { FLOTILLA_HOME: "/h" }).dataDir).toBe("/h/data");
});

test("emulated clouds are all of them or those that are named, each once", () => {
  const cloudsIn = (flags: ConfigFlags, env: Record<string, string>) =>
    loadConfig(flags, env).emulatedClouds?.clouds;
  const all = ["aws", "gcp", "azure"];
  expect(cloudsIn({}, {})).toBeUndefined();
  expect(cloudsIn({ emulatedClouds: "on" }, {})).toEqual(all);
  expect(cloudsIn({ emulatedClouds: "azure, AWS,aws" }, {})).toEqual(["aws", "azure"]);
  expect(cloudsIn({}, { FLOTILLA_EMULATED_CLOUDS: "gcp" })).toEqual(["gcp"]);
  expect(cloudsIn({}, { FLOTILLA_EMULATED_CLOUDS: "off" })).toBeUndefined();
  expect(cloudsIn({ emulatedClouds: "gcp" }, { FLOTILLA_EMULATED_CLOUDS: "aws" })).toEqual(["gcp"]);
});

test("emulated clouds boot after what was said, which on the command line asks for them", () => {
  const bootMs = (flags: ConfigFlags, env: Record<string, string> = {}) =>
    loadConfig(flags, env).emulatedClouds?.bootMs;
  expect(bootMs({ emulatedClouds: "on" })).toBe(3_000);
  expect(bootMs({ emulatedBootMs: 0 })).toBe(0);
  expect(bootMs({}, { FLOTILLA_EMULATED_BOOT_MS: "5" })).toBeUndefined();
  const env = { FLOTILLA_EMULATED_CLOUDS: "gcp" };
  expect(loadConfig({ emulatedBootMs: 7 }, env).emulatedClouds).toEqual({
    clouds: ["gcp"],
    bootMs: 7,
  });
});

test("no isolation must be asked for; no local node may be", () => {
  const env = { FLOTILLA_LOCAL_GPUS: "H100" };
  const config = loadConfig({ unisolated: true }, env);
  expect(config.localNode).toEqual({ isolation: "process", emulatedGpus: "H100:1" });
  expect(loadConfig({}, { FLOTILLA_LOCAL_NODE: "off" }).localNode).toBeUndefined();
});

test("this machine costs nothing unless it is said to", () => {
  const priced = loadConfig({}, { FLOTILLA_LOCAL_USD_PER_HOUR: "1.25" }).localNode;
  expect(priced).toEqual({ isolation: "gvisor", priceMicroUsdPerHour: 1_250_000 });
});

test("Google Cloud is rented from when regions and a project are named", () => {
  const env = { FLOTILLA_GCP_REGIONS: "us-central1, europe-west4" };
  const regions = ["us-central1", "europe-west4"];
  const gcp = loadConfig({}, { ...env, FLOTILLA_GCP_PROJECT: "my-project-1" }).gcp;
  expect(gcp).toEqual({ projectId: "my-project-1", regions });
  const known = loadConfig({}, { ...env, GOOGLE_CLOUD_PROJECT: "other-project" }).gcp;
  expect(known).toEqual({ projectId: "other-project", regions });
  expect(loadConfig({}, { FLOTILLA_GCP_PROJECT: "my-project-1" }).gcp).toBeUndefined();
});

test("the policy takes a budget, clouds, regions, a solver and limits", () => {
  const { policy } = loadConfig(
    {},
    {
      FLOTILLA_BUDGET_USD_PER_HOUR: "12.50",
      FLOTILLA_CLOUDS: "aws, gcp",
      FLOTILLA_REGIONS: "us-east-1",
      FLOTILLA_SOLVER: "glpk",
      FLOTILLA_SPOT: "off",
      FLOTILLA_IDLE_RELEASE_MS: "1000",
      FLOTILLA_NODES_MAX: "5",
    },
  );
  expect(policy.optimizer).toEqual({
    ...DEFAULT_POLICY.optimizer,
    budgetMicroUsdPerHourMax: 12_500_000,
    clouds: ["aws", "gcp"],
    regions: ["us-east-1"],
    solver: "glpk",
    spotAllowed: false,
  });
  expect(policy.pool).toEqual({ ...DEFAULT_POLICY.pool, idleReleaseMs: 1_000, nodeCountMax: 5 });
});

test.each<[ConfigFlags, Record<string, string>, RegExp]>([
  [{ port: 65_536 }, {}, /^--port takes a whole number from 0 to 65535, not "65536"$/],
  [{ port: 1.5 }, {}, /^--port takes/],
  [{ dataDir: "" }, {}, /^--data takes the path of a folder/],
  [{ localGpus: "H10O:8" }, {}, /^--local-gpus takes .*did you mean H100\?/],
  [{}, { FLOTILLA_LOCAL_USD_PER_HOUR: "free" }, /^FLOTILLA_LOCAL_USD_PER_HOUR takes an amount/],
  [{ localGpus: "H100:0" }, {}, /^--local-gpus takes .*1 to 16/],
  [{}, { FLOTILLA_PEER_PORT: "65536" }, /^FLOTILLA_PEER_PORT takes a whole number/],
  [{}, { FLOTILLA_EGRESS_OPEN_RANGES: "10.0.0.0/33" }, /^FLOTILLA_EGRESS_OPEN_RANGES takes a list/],
  [{}, { FLOTILLA_PORT: "http" }, /^FLOTILLA_PORT takes a whole number/],
  [{}, { FLOTILLA_LOG_LEVEL: "inof" }, /^FLOTILLA_LOG_LEVEL takes .*did you mean info\?/],
  [{}, { FLOTILLA_HOST: "a b" }, /^FLOTILLA_HOST takes an address/],
  [{}, { FLOTILLA_REDIS_URL: "localhost:6379" }, /^FLOTILLA_REDIS_URL takes a URL/],
  [{}, { FLOTILLA_CLOUDS: "aws,gpc" }, /^FLOTILLA_CLOUDS takes a list .*did you mean gcp\?/],
  [{}, { FLOTILLA_AWS_REGIONS: "us-east-1,," }, /^FLOTILLA_AWS_REGIONS takes a list/],
  [{}, { FLOTILLA_AZURE_REGIONS: "eastus" }, /needs FLOTILLA_AZURE_SUBSCRIPTION and FLOTILLA_A/],
  [{}, { FLOTILLA_AZURE_RESOURCE_GROUP: "a/b" }, /^FLOTILLA_AZURE_RESOURCE_GROUP takes a name/],
  [{}, { FLOTILLA_AZURE_IMAGE: "ubuntu" }, /^FLOTILLA_AZURE_IMAGE takes the resource id/],
  [{}, { FLOTILLA_GCP_REGIONS: "us-central1" }, /needs FLOTILLA_GCP_PROJECT/],
  [{}, { FLOTILLA_GCP_PROJECT: "My Project" }, /^FLOTILLA_GCP_PROJECT takes the id of a project/],
  [{}, { FLOTILLA_PUBLIC_URL: "flotilla.example.com" }, /^FLOTILLA_PUBLIC_URL takes a URL/],
  [{}, { FLOTILLA_EMULATED_CLOUDS: "maybe" }, /^FLOTILLA_EMULATED_CLOUDS takes on, off, or a list/],
  [{}, { FLOTILLA_EMULATED_CLOUDS: "aws,gpc" }, /of aws, gcp and azure \(did you mean gcp\?\)/],
  [{}, { FLOTILLA_EMULATED_CLOUDS: "onn" }, /\(did you mean on\?\)/],
  [{ emulatedClouds: "azur" }, {}, /^--emulated-clouds takes .*mean azure\?\), not "azur"$/],
  [{ emulatedClouds: "aws," }, {}, /^--emulated-clouds takes on, off, or a list/],
  [{}, { FLOTILLA_BUDGET_USD_PER_HOUR: "-1" }, /^FLOTILLA_BUDGET_USD_PER_HOUR takes an amount/],
  [{}, { FLOTILLA_BLOB_STORE: "http://bucket" }, /^FLOTILLA_BLOB_STORE takes a bucket such as s3:/],
  [{}, { FLOTILLA_BLOB_STORE_ENDPOINT: "http://x" }, /_ENDPOINT needs FLOTILLA_BLOB_STORE/],
  [{}, { FLOTILLA_DATABASE_URL: "postgres://x" }, /^FLOTILLA_DATABASE_URL is not supported/],
])("%j with %j is refused by name", (flags, env, message) => {
  expect(() => loadConfig(flags, env)).toThrow(message);
  expect(() => loadConfig(flags, env)).toThrow(PlatformError);
});

test("Azure is rented from when its regions, subscription and resource group are named", () => {
  const env = {
    FLOTILLA_AZURE_REGIONS: "eastus, westeurope",
    AZURE_SUBSCRIPTION_ID: "11111111-2222-3333-4444-555555555555",
    FLOTILLA_AZURE_RESOURCE_GROUP: "gpu-group",
  };
  const azure = {
    subscriptionId: "11111111-2222-3333-4444-555555555555",
    resourceGroup: "gpu-group",
    regions: ["eastus", "westeurope"],
    publicAddresses: false,
  };
  expect(loadConfig({}, env).azure).toEqual(azure);
  const more = {
    FLOTILLA_AZURE_SUBSCRIPTION: "other",
    FLOTILLA_AZURE_IMAGE: "publisher:offer:sku:latest",
    FLOTILLA_AZURE_PUBLIC_ADDRESSES: "on",
  };
  expect(loadConfig({}, { ...env, ...more }).azure).toEqual({
    ...azure,
    subscriptionId: "other",
    image: "publisher:offer:sku:latest",
    publicAddresses: true,
  });
  expect(loadConfig({}, {}).azure).toBeUndefined();
});

test("a wrong Redis URL is not repeated, for it may hold a password", () => {
  const env = { FLOTILLA_REDIS_URL: "http://user:secret@host" };
  expect(() => loadConfig({}, env)).toThrow(/^((?!secret).)*$/);
});

test("any text in any setting is a value or a refusal, nothing else", () => {
  const names = ["PORT", "HOST", "REDIS_URL", "LOCAL_GPUS", "CLOUDS", "BUDGET_USD_PER_HOUR"];
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.string(), (name, text) => {
      try {
        loadConfig({}, { [`FLOTILLA_${name}`]: text });
      } catch (error) {
        expect(error).toBeInstanceOf(PlatformError);
      }
    }),
  );
});

test("a policy file replaces the default policy; single settings go before it", () => {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-policy-"));
  try {
    const path = join(folder, "policy.yaml");
    const text = "optimizer: { spotAllowed: false, churnUsd: 0.2 }\npool: { nodeCountMax: 3 }\n";
    writeFileSync(path, text);
    const { policy } = loadConfig({ policyFile: path }, { FLOTILLA_NODES_MAX: "9" });
    expect(policy.optimizer).toMatchObject({ spotAllowed: false, churnMicroUsd: 200_000 });
    expect(policy.pool.nodeCountMax).toBe(9);
    const byEnvironment = loadConfig({}, { FLOTILLA_POLICY: path, FLOTILLA_SPOT: "on" });
    expect(byEnvironment.policy.optimizer).toMatchObject({ spotAllowed: true });
    expect(byEnvironment.policy.pool.nodeCountMax).toBe(3);
    writeFileSync(path, "optimizer:\n  spotAlowed: no\n");
    expect(() => loadConfig({ policyFile: path }, {})).toThrow(/line 2, column 3: .*spotAllowed/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a policy file that is not there is named", () => {
  expect(() => loadConfig({ policyFile: "/no/such.yaml" }, {})).toThrow(/policy \/no\/such.yaml/);
});

test("price lists are read from mirrors that are named, and a wrong key is not shown", () => {
  const env = {
    FLOTILLA_AWS_PRICE_URL: "https://mirror.example.com/aws/",
    FLOTILLA_AWS_SPOT_URL: "https://mirror.example.com/advisor.json",
    FLOTILLA_GCP_PRICE_URL: "http://127.0.0.1:9000",
    FLOTILLA_GCP_PRICE_KEY: "AIzaSy_test-key",
    FLOTILLA_AZURE_PRICE_URL: "https://mirror.example.com/azure/prices",
  };
  expect(loadConfig({}, env).priceSources).toEqual({
    awsUrl: "https://mirror.example.com/aws",
    awsSpotUrl: "https://mirror.example.com/advisor.json",
    gcpUrl: "http://127.0.0.1:9000",
    gcpKey: "AIzaSy_test-key",
    azureUrl: "https://mirror.example.com/azure/prices",
  });
  const attempt = (): unknown => loadConfig({}, { FLOTILLA_GCP_PRICE_KEY: "key with spaces" });
  expect(attempt).toThrow(/FLOTILLA_GCP_PRICE_KEY takes an API key/);
  expect(attempt).not.toThrow(/spaces/);
});

test("blobs lie in the data folder, or in the bucket that is named", () => {
  expect(loadConfig({}, {}).blobStore).toBeUndefined();
  const amazon = { FLOTILLA_BLOB_STORE: "s3://bucket/a/b/" };
  expect(loadConfig({}, amazon).blobStore).toEqual({ bucket: "bucket", prefix: "a/b" });
  const own = { ...amazon, FLOTILLA_BLOB_STORE_ENDPOINT: "http://127.0.0.1:9000" };
  expect(loadConfig({}, own).blobStore).toMatchObject({ endpoint: "http://127.0.0.1:9000" });
});

test("has machines give each other chunks only where a port is set for it", () => {
  expect(loadConfig({}, {}).peerPort).toBeUndefined();
  expect(loadConfig({}, { FLOTILLA_PEER_PORT: "7071" }).peerPort).toBe(7_071);
});
