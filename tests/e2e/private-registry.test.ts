/** An image behind a password, from a secret of the workspace to programs that run in it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hasRegistry, LOGIN, TestRegistry } from "../../sandbox/images/oci/test-registry.ts";
import { tarOf } from "../../sandbox/images/oci/test-tar.ts";
import { Image, Sandbox, Secret } from "../../sdk/index.ts";
import { TestPlatform } from "../support/platform.ts";

const platform = new TestPlatform();
let registry: TestRegistry | undefined;

beforeAll(async () => {
  if (!hasRegistry) return;
  registry = await TestRegistry.start({ login: true });
  await platform.start([], { FLOTILLA_IMAGE_REGISTRIES: registry.host });
});

afterAll(async () => {
  registry?.close();
  if (hasRegistry) expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
});

test.skipIf(!hasRegistry)(
  "an image is pulled with the login of a secret, kept in no file",
  async () => {
    if (registry === undefined) throw new Error("no registry");
    const word = tarOf([{ name: "word", content: "private" }]);
    await registry.pushImage("v1", [word], { architecture: "amd64", os: "linux", config: {} });
    const ref = `${registry.host}/org/name:v1`;
    const lines: string[] = [];
    const create = async (secret?: Secret): Promise<Sandbox> =>
      Sandbox.create({
        image: Image.fromRegistry(ref, secret === undefined ? {} : { secret }),
        onProgress: (line) => lines.push(line),
      });
    await expect(create()).rejects.toThrow(/Image.fromRegistry\(ref, { secret }\)/);
    await expect(create(Secret.fromName("login"))).rejects.toThrow(/there is no secret login/);
    platform.cli("secret", "create", "login", "REGISTRY_USERNAME=ann", "REGISTRY_PASSWORD=wr0ng");
    await expect(create(Secret.fromName("login"))).rejects.toThrow(/the login of its secret/);
    platform.cli("secret", "update", "login", `REGISTRY_PASSWORD=${LOGIN.password}`);
    const sandbox = await create(Secret.fromName("login"));
    expect(await sandbox.files.readText("/word")).toBe("private");
    await sandbox.terminate();
    // Who cannot read it is not given what another build has kept of it.
    await expect(create()).rejects.toThrow(/not public/);
    platform.cli("secret", "delete", "login");
    await expect(create(Secret.fromName("login"))).rejects.toThrow(/there is no secret login/);
    expect(lines.join("\n")).toContain("layer 1 of 1");

    const basic = Buffer.from(`${LOGIN.username}:${LOGIN.password}`).toString("base64");
    const told = [LOGIN.password, basic, "wr0ng"];
    expect(told.filter((value) => lines.join("\n").includes(value))).toEqual([]);
    expect(filesHolding(platform.scratchDir, told)).toEqual([]);
  },
  240_000,
);

/** Files below a folder that hold one of these texts. */
function filesHolding(dir: string, texts: readonly string[]): readonly string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => {
      const bytes = readFileSync(path);
      return texts.some((text) => bytes.includes(text));
    });
}
