import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NodeSummary } from "../../sdk/protocol/index.ts";
import { TestPlatform } from "../support/platform.ts";

describe("all emulated clouds at once", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start(["--emulated-clouds", "--emulated-boot-ms", "100"]);
    platform.cli("deploy", "tests/fixtures/clouds.ts");
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  it.each([
    ["onAws", "aws"],
    ["onGcp", "gcp"],
    ["onAzure", "azure"],
  ])(
    "run a function (%s) that is restricted to %s on a machine rented there",
    async (name, cloud) => {
      const addOne = await platform.lookup<[number], number>("clouds", name);
      expect(await addOne.remote(41)).toBe(42);
      const { nodes } = await platform.get<{ nodes: readonly NodeSummary[] }>("/v1/nodes");
      const rented = nodes.filter((node) => node.cloud === cloud && node.containers > 0);
      expect(rented).toEqual([expect.objectContaining({ state: "healthy", emulated: true })]);
      const line = platform.cli("node", "list").match(new RegExp(`^.* ${cloud} .*$`, "m"))?.[0];
      expect(line).toMatch(new RegExp(`${cloud} \\S+ EMULATED .* T4 EMULATED`));
    },
  );

  it("have their controls at the addresses that `up` tells", async () => {
    const { emulators } = platform.running;
    expect(Object.keys(emulators)).toEqual(["aws", "gcp", "azure"]);
    for (const endpoint of Object.values(emulators)) {
      const answer = await fetch(`${endpoint}/_emulator/settings`);
      expect(await answer.json()).toMatchObject({ bootMs: 100 });
    }
  });
});
