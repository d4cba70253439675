import { expect, test } from "vitest";
import type { PlatformEvent } from "../../sdk/protocol/index.ts";
import type { Principal } from "../services.ts";
import { aDeployment } from "../store/conformance/samples.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import { createEventScope } from "./event-scope.ts";

const WHO: Principal = { workspaceId: "ws_1", tokenId: "to_1" };

function eventOf(appId: string): PlatformEvent {
  return {
    eventId: "1-0",
    atMs: 0,
    appId,
    kind: "log",
    stream: "stdout",
    text: "line",
    sequence: 1,
  };
}

/** A store with an app of the workspace and one of another, and how often it was listed. */
async function aStore() {
  const { registry } = openRecordStore(":memory:");
  await registry.deploy({ ...aDeployment("ap_own", { app: "own" }), workspaceId: "ws_1" });
  await registry.deploy({ ...aDeployment("ap_other", { app: "other" }), workspaceId: "ws_2" });
  const counts = { listings: 0 };
  const list: typeof registry.list = (...given) => {
    counts.listings += 1;
    return registry.list(...given);
  };
  return { counts, store: { registry: { list } } };
}

test("a reader sees the events of its workspace's apps, each looked up once", async () => {
  const { counts, store } = await aStore();
  const isVisible = createEventScope(WHO, store);
  for (let turn = 0; turn < 3; turn += 1) {
    expect(await isVisible(eventOf("ap_own"))).toBe(true);
    expect(await isVisible(eventOf("ap_other"))).toBe(false);
  }
  expect(counts.listings).toBe(2);
});

test("one that follows an app lists nothing for it, and sees no other's all the same", async () => {
  const { counts, store } = await aStore();
  const isVisible = createEventScope(WHO, store, { appId: "ap_own" });
  expect(isVisible(eventOf("ap_own"))).toBe(true);
  expect(counts.listings).toBe(0);
  expect(await isVisible(eventOf("ap_other"))).toBe(false);
});
