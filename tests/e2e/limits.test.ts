import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ContainerList, NodeList } from "../../sdk/protocol/index.ts";
import { App, Sandbox } from "../../sdk/index.ts";
import type { holder } from "../fixtures/limits.ts";
import { TestPlatform } from "../support/platform.ts";

const BOTH = /limit is 448 MiB, of which only 128 MiB are reserved/;

describe("containers with a request and a limit", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start();
    platform.cli("deploy", "tests/fixtures/limits.ts");
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const lookUp = (name: string) => platform.lookup<[number], number>("limits", name);

  it.each(["hold", "fill", "holdInPython"])(
    "%s uses more memory than its request, and fails above its limit",
    async (name) => {
      const one = await lookUp(name);
      expect(await one.remote(256)).toBe(256);
      const error = await one.remote(700).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "out_of_memory" });
      expect((error as Error).message).toMatch(BOTH);
      // The next input has a container again.
      expect(await one.remote(1)).toBe(1);
    },
  );

  it("holds for classes, and for other limits of one call", async () => {
    const found = await App.lookupClass<typeof holder>("limits", "Holder");
    expect(await found.instance().hold.remote(256)).toBe(256);
    await expect(found.instance().hold.remote(700)).rejects.toMatchObject({
      code: "out_of_memory",
    });
    const roomier = (await lookUp("hold")).withOptions({
      memoryMiB: { request: 128, limit: 1_024 },
    });
    expect(await roomier.remote(700)).toBe(700);
  });

  it("holds for sandboxes", async () => {
    const sandbox = await Sandbox.create({ memoryMiB: { request: 96, limit: 512 } });
    const program = "console.log(Buffer.alloc(300 * 1024 * 1024, 1).byteLength)";
    const { stdout } = await (await sandbox.exec(["node", "-e", program])).output();
    expect(stdout.trim()).toBe(String(300 * 1024 * 1024));
    await sandbox.terminate();
  });

  it("places by the request: more containers fit than have room for their limits", async () => {
    const { nodes } = await platform.get<NodeList>("/v1/nodes");
    const nodeMiB = nodes[0]?.memoryMiB ?? 0;
    const limit = Math.min(524_288, Math.floor(nodeMiB * 0.9));
    const wide = (await lookUp("fill")).withOptions({
      memoryMiB: { request: 128, limit },
      minContainers: 2,
    });
    expect(await wide.remote(1)).toBe(1);
    const ready = async (): Promise<number> => {
      const { containers } = await platform.get<ContainerList>("/v1/containers");
      return containers.filter((one) => /^fill@/.test(one.function) && one.state !== "starting")
        .length;
    };
    await expect.poll(ready, { interval: 250 }).toBe(2);
  });

  it("refuses limits that cannot be, before anything is sent and on the server", async () => {
    const one = await lookUp("hold");
    expect(() => one.withOptions({ memoryMiB: { request: 256, limit: 128 } })).toThrow(
      "memoryMiB .limit (128) must not be below .request (256)",
    );
    const { serverUrl, token } = platform.running;
    const functions = [{ name: "f", spec: { memoryMiB: { request: 256, limit: 128 } } }];
    const response = await fetch(`${serverUrl}/v1/apps/limits/deployments`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ mode: "deployed", codeSha256: "0".repeat(64), functions }),
    });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain("limit is below request");
  });
});
