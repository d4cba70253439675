/** Two agents with folders of their own: one keeps a function's memory, the other goes on from it. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ContainerSummary } from "../../sdk/protocol/index.ts";
import { TestPlatform } from "../support/platform.ts";

interface Remembered {
  readonly drawn: string;
  readonly containerId: string;
}

const APP = "tests/fixtures/shared-snapshots-app.ts";

describe("a memory snapshot", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start(["--emulated-clouds=aws"]);
  });

  afterAll(async () => {
    delete process.env["SHARED_SNAPSHOTS_CLOUD"];
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  /** Folders of snapshots that were put together to be restored, of all agents. */
  const readyOf = (dir: string): readonly string[] =>
    readdirSync(dir, { recursive: true, encoding: "utf8" }).filter((path) =>
      path.endsWith("checkpoint.img"),
    );
  const sharedCount = (): number => {
    const notes = join(platform.dataDir, "memory-notes");
    if (!existsSync(notes)) return 0;
    return readdirSync(notes, { recursive: true, withFileTypes: true }).filter((one) =>
      one.isFile(),
    ).length;
  };
  const containerOf = async (containerId: string): Promise<ContainerSummary | undefined> => {
    const path = "/v1/containers";
    const { containers } = await platform.get<{ containers: readonly ContainerSummary[] }>(path);
    return containers.find((one) => one.containerId === containerId);
  };
  const remember = async (): Promise<Remembered & { readonly nodeId: string | undefined }> => {
    const called = await platform.lookup<[], Remembered>("shared-snapshots", "remembering");
    const answer = await called.remote();
    const container = await containerOf(answer.containerId);
    return { ...answer, nodeId: container?.nodeId };
  };
  const stop = async (containerId: string): Promise<void> => {
    platform.cli("container", "stop", containerId);
    await expect.poll(async () => containerOf(containerId)).toBeUndefined();
  };

  it("that one machine has made is fetched from the server and restored on another", async () => {
    platform.cli("deploy", APP);
    const rented = await platform.lookup<[], string>("shared-snapshots", "rented");
    expect(await rented.remote()).toBe("rented");

    const first = await remember();
    await expect.poll(sharedCount).toBeGreaterThan(0);
    await stop(first.containerId);
    const restored = await remember();
    expect(restored.nodeId).toBe(first.nodeId);
    // The first container has loaded the code for itself.
    expect(restored.drawn).not.toBe(first.drawn);
    await stop(restored.containerId);
    const before = readyOf(platform.scratchDir).length;

    process.env["SHARED_SNAPSHOTS_CLOUD"] = "aws";
    platform.cli("deploy", APP);
    const elsewhere = await remember();
    expect(elsewhere.nodeId).not.toBe(first.nodeId);
    expect(elsewhere.drawn).toBe(restored.drawn);
    expect(readyOf(platform.scratchDir).length).toBe(before + 1);
  });
});
