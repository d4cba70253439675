import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestPlatform } from "../support/platform.ts";

const TOKEN = "hf_qL7vX2mPz9Kd4Rt8";
const CHANGED = "hf_changed_Wn5Bc1Jy6Hs3";
const LOCAL = "local_Gf8Vb2Nk7Qp4Zx1";
const DOTENV = "dotenv_Mw3Tc9Ld6Rj5Yh2";

const APP = `
import { App, Secret } from "flotilla";
const app = new App("secretive");
const secrets = [Secret.fromName("huggingface", { requiredKeys: ["HF_TOKEN"] })];
const spec = { secrets, env: { OVERRIDDEN: "by-the-spec" }, scaledownWindowMs: 2_000 };
const digest = async (text) => {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text ?? ""));
  return Buffer.from(bytes).toString("hex");
};
export const look = app.function(spec, async () => {
  console.log("the token is " + process.env.HF_TOKEN + ".");
  process.stderr.write("raw " + process.env.HF_TOKEN + "\\n");
  const { OVERRIDDEN, PORT } = process.env;
  return { digest: await digest(process.env.HF_TOKEN), OVERRIDDEN, PORT };
});
export class Holder {
  digest = process.env.HF_TOKEN?.length;
  length() { return this.digest; }
}
export const holder = app.cls({ secrets, name: "holder" }, Holder);
`;

const LOCAL_APP = `
import { App, Secret } from "flotilla";
const app = new App("local-secrets");
const secrets = [
  Secret.fromObject({ API_KEY: process.env.API_KEY }),
  Secret.fromDotenv("DOTENV_PATH"),
];
export const look = app.function({ secrets }, () => {
  console.log("printed " + process.env.API_KEY);
  return [process.env.API_KEY?.length, process.env.FROM_FILE?.length];
});
`;

interface Looked {
  readonly digest: string;
  readonly OVERRIDDEN: string;
  readonly PORT: string;
}

const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex");

// Each step stands on those before it.
describe("secrets", { shuffle: false }, () => {
  const platform = new TestPlatform();
  let appFile: string;
  let localFile: string;

  beforeAll(async () => {
    await platform.start();
    appFile = platform.write("secretive.mjs", APP);
    const dotenv = platform.write(".env", `FROM_FILE="${DOTENV}"\n`);
    localFile = platform.write("local.mjs", LOCAL_APP.replace("DOTENV_PATH", dotenv));
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const look = (): Looked =>
    JSON.parse(platform.cli("call", "secretive", "look", "--json")) as Looked;

  it("are asked for at deployment, with the command that makes them", () => {
    const { status, stderr } = platform.tryCli("deploy", appFile);
    expect(status).not.toBe(0);
    expect(stderr).toContain("secret huggingface, which does not exist");
    expect(stderr).toContain("flotilla secret create huggingface HF_TOKEN=VALUE");
  });

  it("reach containers, below the variables of the spec, and are hidden in logs", async () => {
    const created = platform.cli(
      ...["secret", "create", "huggingface", "--json"],
      ...[`HF_TOKEN=${TOKEN}`, "OVERRIDDEN=by-the-secret", "PORT=5432"],
    );
    expect(JSON.parse(created)).toMatchObject({ keys: ["HF_TOKEN", "OVERRIDDEN", "PORT"] });
    platform.cli("deploy", appFile);
    expect(look()).toEqual({ digest: digestOf(TOKEN), OVERRIDDEN: "by-the-spec", PORT: "5432" });
    expect(platform.cli("call", "secretive", "look", "--json")).not.toContain(TOKEN);
    const shown = platform.tryCli("app", "logs", "secretive");
    const logs = shown.stdout + shown.stderr;
    expect(logs).toContain("the token is ***.");
    expect(logs).toContain("raw ***");
    expect(logs).not.toContain(TOKEN);
    const events = await platform.get<unknown>("/v1/apps");
    expect(JSON.stringify(events)).not.toContain(TOKEN);
  });

  it("that were changed reach new containers", async () => {
    platform.cli("secret", "update", "huggingface", `HF_TOKEN=${CHANGED}`);
    const { containers } = await platform.get<{ containers: { containerId: string }[] }>(
      "/v1/containers",
    );
    for (const { containerId } of containers) platform.tryCli("container", "stop", containerId);
    expect(look().digest).toBe(digestOf(CHANGED));
  });

  it("of this machine travel with a run and go with it", () => {
    const run = spawnedRun(platform, localFile);
    expect(run.stderr + run.stdout).toContain("printed ***");
    expect(run.stdout).toContain(`[${LOCAL.length},${DOTENV.length}]`);
    const deployed = platform.tryCli("deploy", localFile);
    expect(deployed.status).toBe(2);
    expect(deployed.stderr).toContain("flotilla secret create NAME --from-dotenv .env");
    const listed = JSON.parse(platform.cli("secret", "list", "--json")) as {
      secrets: { name: string }[];
    };
    expect(listed.secrets.map(({ name }) => name)).toEqual(["huggingface"]);
  });

  it("are in no file of the data folder, Redis's dump, logs and caches included", async () => {
    const found = (text: string): string =>
      spawnSync("grep", ["-rlaF", text, platform.dataDir], { encoding: "utf8" }).stdout;
    // The search itself works: the name of the secret is no secret.
    expect(found("huggingface")).not.toBe("");
    await dumpRedis(platform.dataDir);
    for (const value of [TOKEN, CHANGED, LOCAL, DOTENV]) {
      expect(found(value)).toBe("");
      expect(readFileSync(join(platform.scratchDir, "platform.log"), "utf8")).not.toContain(value);
      expect(found(Buffer.from(value).toString("base64").slice(0, 20))).toBe("");
    }
  });

  it("outlive a change of the operator's key and a restart", async () => {
    const refused = platform.tryCli("secret", "rotate-key", "--data", platform.dataDir);
    expect(refused.stderr).toContain("flotilla down");
    await platform.stop();
    const keyFile = join(platform.dataDir, "secret-key");
    const before = readFileSync(keyFile, "utf8");
    platform.cli("secret", "rotate-key", "--data", platform.dataDir);
    expect(readFileSync(keyFile, "utf8")).not.toBe(before);
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    await platform.start();
    expect(look().digest).toBe(digestOf(CHANGED));
  });

  it("are not served under a key that others can read", async () => {
    await platform.stop();
    const keyFile = join(platform.dataDir, "secret-key");
    chmodSync(keyFile, 0o644);
    await expect(platform.start()).rejects.toThrow();
    const { stderr } = platform.tryCli("up", "--data", platform.dataDir, "--port", "0");
    expect(stderr).toContain(`chmod 600 ${keyFile}`);
    chmodSync(keyFile, 0o600);
    await platform.start();
  });

  it("that are deleted fail the start of what names them, with the command that helps", () => {
    platform.cli("secret", "delete", "huggingface");
    const { status, stderr } = platform.tryCli("call", "secretive", "look");
    expect(status).not.toBe(0);
    expect(stderr).toContain("flotilla secret create huggingface");
    expect(existsSync(join(platform.dataDir, "secret-key"))).toBe(true);
  });
});

function spawnedRun(platform: TestPlatform, file: string) {
  process.env["API_KEY"] = LOCAL;
  try {
    return platform.tryCli("run", file, "--json");
  } finally {
    Reflect.deleteProperty(process.env, "API_KEY");
  }
}

/** Has Redis write all that it holds into the data folder. */
async function dumpRedis(dataDir: string): Promise<void> {
  const found = execFileSync("find", [dataDir, "-type", "s"], { encoding: "utf8" });
  const socket = found.split("\n").find((path) => path.includes("redis"));
  if (socket === undefined) throw new Error(`there is no Redis in ${dataDir}: ${found}`);
  const redis = new Redis({ path: socket });
  expect(await redis.save()).toBe("OK");
  await redis.quit();
}
