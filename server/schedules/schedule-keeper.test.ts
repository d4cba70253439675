/** The loop over a real record store; time, the lease and calls are a test's. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PlatformError } from "../../core/index.ts";
import type { CallStatus, EventBody, Schedule } from "../../sdk/protocol/index.ts";
import type { Fence, RecordStore } from "../store/record-store.ts";
import { inline } from "../store/conformance/samples.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import { scheduledCallId } from "./run-id.ts";
import { ScheduleKeeper } from "./schedule-keeper.ts";
import { createScheduleService } from "./schedule-service.ts";

const START_MS = Date.parse("2026-03-02T12:00:00Z");
const MINUTE_MS = 60_000;
const KEY = { workspaceId: "ws_1", app: "demo", name: "report" };
const WHO = { workspaceId: "ws_1", tokenId: "to_1" };
const EVERY_MINUTE: Schedule = { kind: "cron", expression: "* * * * *" };

let store: RecordStore;
let nowMs: number;
let told: EventBody[];
/** How often each call id was accepted as something new. */
let accepted: Map<string, number>;
/** Thrown by the next calls, before or after they take effect. */
let failures: ("before" | "after")[];
let errors: unknown[];

beforeEach(() => {
  store = openRecordStore(":memory:");
  nowMs = START_MS;
  [told, failures, errors] = [[], [], []];
  accepted = new Map();
});
afterEach(async () => {
  await store.close();
});

/** A server: a keeper with a token of its own, which a later one deposes. */
async function server(token: number) {
  const fence: Fence = { name: "schedules", token };
  await store.fences.claim(fence);
  let leads = true;
  const keeper = new ScheduleKeeper({
    store,
    clock: { nowMs: () => nowMs, sleep: () => Promise.resolve() },
    events: { publish: (_subject, body) => told.push(body) },
    onError: (error) => errors.push(error),
    leadership: {
      lead: () => Promise.resolve(leads ? fence : undefined),
      deposed: () => (leads = false),
      close: () => Promise.resolve(),
    },
    calls: {
      create: async (who, functionId, { callId }) => {
        const failure = failures.shift();
        if (failure === "before") throw unavailable();
        const { workspaceId } = who;
        const call = { callId, workspaceId, functionId, appId: "ap", kind: "single" } as const;
        const outcome = await store.ledger.acceptInputs({
          call: { ...call, createdAtMs: nowMs },
          mode: "create",
          startIndex: 0,
          payloads: [inline(1)],
          final: true,
          acceptedAtMs: nowMs,
        });
        if (outcome.kind === "accepted" && outcome.freshFrom === 0) {
          accepted.set(callId, (accepted.get(callId) ?? 0) + 1);
        }
        if (failure === "after") throw unavailable();
        return { header: { callId, results: [], nextCursor: 0, status: STATUS }, payloads: [] };
      },
    },
  });
  return keeper;
}

const STATUS: CallStatus = {
  callId: "ca",
  functionId: "fn",
  kind: "single",
  state: "running",
  inputCount: 1,
  finishedCount: 0,
  failedCount: 0,
  final: true,
  createdAtMs: 0,
};

function unavailable(): PlatformError {
  return new PlatformError("no Redis", { code: "unavailable", retryable: true });
}

async function deploy(appId: string, schedule: Schedule = EVERY_MINUTE): Promise<void> {
  await store.registry.deploy({
    ...{ appId, workspaceId: "ws_1", app: "demo", mode: "deployed", codeSha256: "c0de" },
    functions: [{ functionId: `${appId}.report`, name: "report", spec: { schedule } }],
    createdAtMs: nowMs,
  });
}

const idAt = (minute: number): string => scheduledCallId(KEY, START_MS + minute * MINUTE_MS);
const times = (...minutes: number[]) => new Map(minutes.map((minute) => [idAt(minute), 1]));
const misses = () => told.filter(({ kind }) => kind === "schedule.missed");
const info = async () => (await createScheduleService(sources()).list(WHO))[0];
const sources = () => ({ store, clock: { nowMs: () => nowMs } });

describe("a schedule", () => {
  it("is called at each of its times, once, however often the server looks", async () => {
    const keeper = await server(1);
    await deploy("ap_1");
    for (let look = 0; look < 25; look += 1) {
      await keeper.tick();
      nowMs += 10_000;
    }
    expect(accepted).toEqual(times(1, 2, 3, 4));
    expect(misses()).toEqual([]);
    expect((await info())?.lastRuns.map(({ state }) => state)).toEqual(Array(4).fill("running"));
  });

  it("is shown with its next runs as soon as it is deployed", async () => {
    await deploy("ap_1");
    expect(await info()).toMatchObject({ state: "active", missedCount: 0, lastRuns: [] });
    expect((await info())?.nextRunsAtMs[0]).toBe(START_MS + MINUTE_MS);
  });

  it("that passed while no server was there runs once, and what was missed is told", async () => {
    await deploy("ap_1");
    await (await server(1)).tick();
    nowMs += 5 * MINUTE_MS + 30_000;
    const next = await server(2);
    await next.tick();
    await next.tick();
    expect(accepted).toEqual(times(5));
    const gap = { firstDueAtMs: START_MS + MINUTE_MS, count: 4 };
    expect(misses()).toMatchObject([{ ...gap, lastDueAtMs: START_MS + 4 * MINUTE_MS }]);
    expect(await info()).toMatchObject({
      missedCount: 4,
      lastRuns: [{ state: "running" }, { state: "missed", missed: gap }],
    });
  });

  it("goes on over a new version, and calls that one", async () => {
    const keeper = await server(1);
    await deploy("ap_1");
    await keeper.tick();
    nowMs += MINUTE_MS;
    await keeper.tick();
    await deploy("ap_2");
    nowMs += MINUTE_MS;
    await keeper.tick();
    expect(accepted).toEqual(times(1, 2));
    expect((await store.calls.get(idAt(2)))?.functionId).toBe("ap_2.report");
    expect((await info())?.lastRuns).toHaveLength(2);
  });

  it("ends with its app, and what passed before it is deployed again is not missed", async () => {
    const keeper = await server(1);
    await deploy("ap_1");
    await keeper.tick();
    await store.registry.stop("ap_1", nowMs);
    nowMs += 10 * MINUTE_MS;
    await keeper.tick();
    expect([accepted.size, misses().length]).toEqual([0, 0]);
    expect(await info()).toBeUndefined();
    await deploy("ap_2");
    nowMs += MINUTE_MS;
    await keeper.tick();
    await keeper.tick();
    expect([misses(), accepted]).toEqual([[], times(11)]);
  });

  it("that is paused neither runs nor misses, over a new version too, until it is resumed", async () => {
    const keeper = await server(1);
    const service = createScheduleService(sources());
    await deploy("ap_1");
    await keeper.tick();
    expect((await service.pause(WHO, "demo", "report")).state).toBe("paused");
    await service.pause(WHO, "demo", "report");
    await deploy("ap_2");
    nowMs += 10 * MINUTE_MS;
    await keeper.tick();
    expect((await service.list(WHO))[0]).toMatchObject({ state: "paused", nextRunsAtMs: [] });
    const resumed = await service.resume(WHO, "demo", "report");
    expect(resumed.nextRunsAtMs[0]).toBe(START_MS + 11 * MINUTE_MS);
    await keeper.tick();
    nowMs += MINUTE_MS;
    await keeper.tick();
    expect([accepted, misses()]).toEqual([times(11), []]);
  });

  it("of another workspace is not found", async () => {
    await deploy("ap_1");
    const service = createScheduleService(sources());
    const stranger = { ...WHO, workspaceId: "ws_2" };
    expect(await service.list(stranger)).toEqual([]);
    await expect(service.pause(stranger, "demo", "report")).rejects.toMatchObject({
      code: "not_found",
    });
    await expect(service.pause(WHO, "demo", "reprot")).rejects.toThrow("did you mean demo/report");
  });
});

describe("no scheduled time runs twice", () => {
  it("when a call takes effect without an answer, or fails and is tried again", async () => {
    const keeper = await server(1);
    await deploy("ap_1");
    await keeper.tick();
    nowMs += MINUTE_MS;
    failures = ["before", "after"];
    for (let look = 0; look < 4; look += 1) await keeper.tick();
    expect(accepted).toEqual(times(1));
    expect(errors).toHaveLength(2);
    expect((await info())?.lastRuns).toMatchObject([{ state: "running", callId: idAt(1) }]);
  });

  it("when a server dies between its note and the call", async () => {
    const keeper = await server(1);
    await deploy("ap_1");
    await keeper.tick();
    nowMs += MINUTE_MS;
    failures = ["before"];
    await keeper.tick();
    expect((await info())?.lastRuns).toMatchObject([{ state: "starting" }]);
    nowMs += 20_000;
    await (await server(2)).tick();
    expect([accepted, misses()]).toEqual([times(1), []]);
  });

  it("when two servers believe that they lead", async () => {
    const first = await server(1);
    await deploy("ap_1");
    await first.tick();
    const second = await server(2);
    for (let minute = 1; minute <= 3; minute += 1) {
      nowMs += MINUTE_MS;
      await Promise.allSettled([first.tick(), second.tick(), first.tick()]);
    }
    expect(accepted).toEqual(times(1, 2, 3));
  });

  it("when the clock is set back, also by more than the schedule's distance", async () => {
    const keeper = await server(1);
    await deploy("ap_1");
    await keeper.tick();
    for (const minutes of [1, 1, -0.5, 0.5, -2, 1, 1, 1, 1]) {
      nowMs += minutes * MINUTE_MS;
      await keeper.tick();
    }
    expect([...accepted.values()].every((count) => count === 1)).toBe(true);
    expect(accepted).toEqual(times(1, 2, 3, 4));
  });

  it("and a clock that was a year ahead stops nothing for a year", async () => {
    const keeper = await server(1);
    await deploy("ap_1", { ...EVERY_MINUTE, graceMs: 0 });
    await keeper.tick();
    nowMs += 365 * 24 * 60 * MINUTE_MS + 30_000;
    await keeper.tick();
    nowMs = START_MS + 30_000;
    await keeper.tick();
    nowMs += 30_000;
    await keeper.tick();
    expect(accepted).toEqual(times(1));
  });
});

describe("a run whose call is not accepted", () => {
  it("is missed in the end, and says why", async () => {
    const keeper = await server(1);
    await deploy("ap_1", { ...EVERY_MINUTE, expression: "1 12 * * *", graceMs: 0 });
    await keeper.tick();
    nowMs += MINUTE_MS;
    failures = Array<"before">(9).fill("before");
    for (let look = 0; look < 8; look += 1) {
      await keeper.tick();
      nowMs += 10_000;
    }
    expect(accepted.size).toBe(0);
    expect(misses()).toMatchObject([{ count: 1, reason: "its call was not accepted" }]);
    expect((await info())?.missedCount).toBe(1);
  });

  it("is missed when its app is stopped before", async () => {
    const keeper = await server(1);
    await deploy("ap_1");
    await keeper.tick();
    nowMs += MINUTE_MS;
    failures = ["before"];
    await keeper.tick();
    await store.registry.stop("ap_1", nowMs);
    await keeper.tick();
    expect(misses()).toMatchObject([{ count: 1, reason: "its app was stopped" }]);
    expect(accepted.size).toBe(0);
  });
});
