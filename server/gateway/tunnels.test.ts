import { describe, expect, test } from "vitest";
import type { StoredDeployment } from "../store/record-store.ts";
import { createTunnelService, tunnelIn, tunnelPathOf } from "./tunnels.ts";

const KEY = new Uint8Array(32).fill(7);

function deployment(more: object = {}, web: object | undefined = { tunnels: true }) {
  const functions = [{ name: "sandbox", functionId: "fn_1", spec: { web } }];
  const owner = { workspaceId: "main", app: "box", appId: "ap_1", mode: "deployed" };
  return { ...owner, state: "running", functions, ...more } as unknown as StoredDeployment;
}

/** What follows the app's part. */
const below = (path: string): string => path.slice("/web/main/box".length);

describe("the URL of a port", () => {
  const box = deployment();
  const path = below(tunnelPathOf(box, 8080, KEY));

  test("leads to the port, with whatever follows", () => {
    for (const more of ["", "/", "/a/b"]) {
      expect(tunnelIn(box, path + more, KEY)).toMatchObject({ port: 8080, part: path });
    }
  });

  test("leads nowhere with another port, key, deployment or platform", () => {
    const code = path.slice("/8080".length);
    for (const wrong of [`/8081${code}`, `/08080${code}`, `/8080${code}x`, `${path}?`, "/8080"]) {
      expect(tunnelIn(box, wrong, KEY)).toBeUndefined();
    }
    for (let at = "/8080-".length; at < path.length - 1; at += 1) {
      const other = path[at] === "A" ? "B" : "A";
      const changed = path.slice(0, at) + other + path.slice(at + 1);
      expect(tunnelIn(box, changed, KEY)).toBeUndefined();
    }
    expect(tunnelIn(deployment({ appId: "ap_2" }), path, KEY)).toBeUndefined();
    expect(tunnelIn(box, path, new Uint8Array(32))).toBeUndefined();
  });

  test("leads nowhere in an app that is no sandbox", () => {
    for (const web of [undefined, {}, { port: 8080 }]) {
      expect(tunnelIn(deployment({}, web ?? {}), path, KEY)).toBeUndefined();
    }
  });
});

describe("asking for URLs", () => {
  const who = { workspaceId: "main", tokenId: "tk_1" };
  const open = async (deployments: readonly StoredDeployment[], app = "box") =>
    createTunnelService({ list: () => Promise.resolve(deployments) }, KEY).open(who, app, [80, 81]);

  test("gives one for each port, in order, the same each time", async () => {
    const { tunnels } = await open([deployment()]);
    expect(tunnels.map(({ port }) => port)).toEqual([80, 81]);
    expect(tunnels[0]?.webPath).toBe(tunnelPathOf(deployment(), 80, KEY));
    expect(await open([deployment()])).toEqual({ tunnels });
  });

  test("is refused for what is stopped, is no sandbox, or is not there", async () => {
    await expect(open([deployment({ state: "stopped" })])).rejects.toThrow(/is not running/);
    await expect(open([deployment({}, { port: 1 })])).rejects.toThrow(/is no sandbox/);
    await expect(open([deployment()], "other")).rejects.toMatchObject({ code: "not_found" });
  });
});
