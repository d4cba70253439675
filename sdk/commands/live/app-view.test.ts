import { expect, test } from "vitest";
import type { CallStatus, EventBody, PlatformEvent } from "../../protocol/index.ts";
import { AppView, barOf, duration } from "./app-view.ts";

function event(body: EventBody, ids: Partial<PlatformEvent> = {}): PlatformEvent {
  return { eventId: "1", atMs: 0, ...ids, ...body };
}

function status(finishedCount: number, inputCount: number): CallStatus {
  const call = { callId: "ca_1", functionId: "fu_1", kind: "map", state: "running" } as const;
  return { ...call, inputCount, finishedCount, failedCount: 1, final: false, createdAtMs: 0 };
}

test("an app that does nothing shows nothing", () => {
  expect(new AppView().lines(0)).toEqual([]);
});

test("inputs, containers and machines are counted, and a pace gives the time that is left", () => {
  const view = new AppView();
  view.note(event({ kind: "call.queued", inputs: 50 }, { callId: "ca_1" }));
  view.note(event({ kind: "call.pending", reason: "no node has an H100" }));
  const booting = { kind: "node.booting" } as EventBody;
  view.note(event(booting, { nodeId: "no_1" }));
  expect(view.lines(0)).toEqual([
    `  inputs     ${barOf(0)} 0 of 50`,
    "  machines   1 booting",
    "  waiting    no node has an H100",
  ]);
  view.note(event({ kind: "node.registered" } as EventBody, { nodeId: "no_1" }));
  view.note(event({ kind: "container.starting" }, { containerId: "co_1" }));
  view.note(event({ kind: "container.starting" }, { containerId: "co_2" }));
  view.note(event({ kind: "container.ready", startMs: 5 }, { containerId: "co_1" }));
  view.noteStatus(status(1, 1_200), 1_000);
  view.noteStatus(status(300, 1_200), 11_000);
  expect(view.lines(11_000)).toEqual([
    `  inputs     ${barOf(0.25)} 300 of 1,200 · 1 failed · about 30 s left`,
    "  containers 1 ready, 1 starting",
  ]);
});

test("a call that ended is not asked for again, and a late state does not open it", () => {
  const view = new AppView();
  view.note(event({ kind: "call.queued", inputs: 2 }, { callId: "ca_1" }));
  expect(view.openCalls).toEqual(["ca_1"]);
  view.note(event({ kind: "call.finished", succeeded: 2, failed: 0 }, { callId: "ca_1" }));
  view.noteStatus(status(1, 2), 5);
  expect(view.openCalls).toEqual([]);
  expect(view.lines(10)).toEqual([`  inputs     ${barOf(1)} 2 of 2`]);
});

test("times are short", () => {
  expect([400, 90_000, 7_100_000, 8 * 3_600_000].map(duration)).toEqual([
    "1 s",
    "90 s",
    "118 min",
    "8 h",
  ]);
});
