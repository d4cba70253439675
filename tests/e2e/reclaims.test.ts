/**
 * Reclaims over real parts: an emulator gives its notice by the metadata service of a machine,
 * the agent on it hears of it, and the machine is left in time.
 */
import assert from "node:assert";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { App, type RemoteFunction } from "../../sdk/index.ts";
import type { PlatformEvent } from "../../sdk/protocol/index.ts";
import type { movedOnAws } from "../fixtures/clouds.ts";
import { TestPlatform } from "../support/platform.ts";
import { waitedFor, WatchedEvents } from "../support/watched-events.ts";

/** The notice of Compute Engine and Azure; EC2's two minutes are cut to it. */
const NOTICE_MS = 30_000;
/** The pool acts about once a second. */
const TICK_MS = 1_000;

/** A machine as its emulator's controls show it. */
interface Machine {
  readonly instanceId: string;
  readonly name: string;
}

interface JournalEntry {
  readonly action: string;
  readonly atMs: number;
  readonly applied: boolean;
  readonly params: Readonly<Record<string, string>>;
}

/** What differs between the clouds. */
interface CloudCase {
  readonly functionName: string;
  /** Name of the control that lists machines. */
  readonly list: string;
  readonly takeBack: (machine: Machine) => readonly [control: string, body: object];
  readonly release: string;
  /** Who was first to know: Compute Engine shows in its API too that a machine is going. */
  readonly reason: RegExp;
}

const PYTHON_NAME = "movedOnGcp";
const TOLD_BY_AGENT = /^its provider takes the machine back in \d\d s$/;
const CLOUDS: Readonly<Record<string, CloudCase>> = {
  aws: {
    functionName: "movedOnAws",
    list: "instances",
    takeBack: ({ instanceId }) => ["preempt", { instanceId, noticeMs: NOTICE_MS }],
    release: "TerminateInstances",
    reason: TOLD_BY_AGENT,
  },
  gcp: {
    functionName: PYTHON_NAME,
    list: "instances",
    takeBack: ({ instanceId }) => ["preempt", { instanceId }],
    release: "instances.delete",
    reason: /^its provider (is taking the machine away|takes the machine back in \d+ s)$/,
  },
  azure: {
    functionName: "movedOnAzure",
    list: "machines",
    takeBack: ({ name }) => ["evict", { name, noticeMs: NOTICE_MS }],
    release: "VirtualMachines.Delete",
    reason: TOLD_BY_AGENT,
  },
};

describe("machines that are taken back", () => {
  const platform = new TestPlatform();
  let events: WatchedEvents;

  beforeAll(async () => {
    await platform.start(["--emulated-clouds", "--emulated-boot-ms", "100"]);
    platform.cli("deploy", "tests/fixtures/clouds.ts");
    events = new WatchedEvents(platform);
  });

  afterAll(async () => {
    await events.close();
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  /** The first event of a kind that is as wanted, waited for. */
  async function eventOf<Kind extends PlatformEvent["kind"]>(
    kind: Kind,
    isWanted: (event: Extract<PlatformEvent, { kind: Kind }>) => boolean,
  ): Promise<Extract<PlatformEvent, { kind: Kind }>> {
    const isOfKind = (event: PlatformEvent): event is Extract<PlatformEvent, { kind: Kind }> =>
      event.kind === kind;
    return waitedFor(`an event ${kind}`, () => events.all.filter(isOfKind).find(isWanted));
  }

  /** The method that ends in one container only, of a class in TypeScript or in Python. */
  async function endsOf(name: string): Promise<RemoteFunction<[number], string>> {
    if (name === PYTHON_NAME) return platform.lookup("clouds", name);
    const moved = await App.lookupClass<typeof movedOnAws>("clouds", name);
    return moved.instance().ends;
  }

  async function control(cloud: string, name: string, body?: object): Promise<unknown> {
    const headers = { "content-type": "application/json" };
    const post = body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) };
    const answer = await fetch(
      `${platform.running.emulators[cloud] ?? ""}/_emulator/${name}`,
      post,
    );
    assert.equal(answer.status, 200);
    return answer.json();
  }

  async function machinesOf(cloud: string, list: string): Promise<readonly Machine[]> {
    const answer = (await control(cloud, list)) as Readonly<Record<string, readonly Machine[]>>;
    return answer[list] ?? [];
  }

  async function releaseOf(cloud: string, action: string, machine: Machine): Promise<JournalEntry> {
    return waitedFor("the machine's release", async () => {
      const journal = (await control(cloud, "journal")) as { readonly entries: JournalEntry[] };
      return journal.entries.find(
        (entry) => entry.applied && entry.action === action && names(machine, entry.params),
      );
    });
  }

  it.concurrent.each(Object.entries(CLOUDS))(
    "S24: on %s the machine is replaced at once, left in peace and given back in time, and no call is lost",
    async (cloud, { functionName, list, takeBack, release, reason }) => {
      const ends = await endsOf(functionName);
      const first = await ends.remote(0);
      const [machine] = await machinesOf(cloud, list);
      assert(machine !== undefined, `a machine was rented on ${cloud}`);
      const { nodeId } = await eventOf("node.booting", ({ providerNodeId }) =>
        names(machine, providerNodeId.split("/")),
      );
      const call = await ends.spawn(Date.now());
      const begun = await eventOf("log", ({ callId }) => callId === call.callId);
      assert.deepEqual([begun.nodeId, begun.containerId], [nodeId, first]);

      const noticedAtMs = Date.now();
      await control(cloud, ...takeBack(machine));

      const drained = await eventOf("node.draining", (event) => event.nodeId === nodeId);
      assert.match(drained.reason, reason);
      const replaced = await eventOf(
        "node.requested",
        (event) => event.offerId.startsWith(`${cloud}/`) && event.nodeId !== nodeId,
      );
      assert(replaced.atMs - drained.atMs < TICK_MS, "it is replaced in the same tick");
      const second = await call.get({ timeoutMs: NOTICE_MS });
      const placed = await eventOf("container.placed", (event) => event.containerId === second);
      assert.notEqual(placed.nodeId, nodeId, "the same input runs on another machine");
      const { inputCount, finishedCount, failedCount } = await call.status();
      assert.deepEqual([inputCount, finishedCount, failedCount], [1, 1, 0]);
      const asked = await eventOf("container.exited", (event) => event.containerId === first);
      assert.equal(asked.reason, "its node is being given back; its inputs run elsewhere");
      const closed = await eventOf(
        "log",
        ({ containerId, text }) => containerId === first && text === "closed",
      );
      assert(closed.atMs > asked.atMs, "exit hooks run to their end once it is asked to leave");
      const released = await releaseOf(cloud, release, machine);
      assert(released.atMs > closed.atMs, "and before its machine is given back");
      assert(released.atMs < noticedAtMs + NOTICE_MS, "which is within the notice");
      const told = events.all.filter(({ containerId }) => containerId === first);
      assert.equal(told.filter(({ kind }) => kind === "container.exited").length, 1);
    },
  );
});

/** Whether one of the texts is the machine's id or name. */
function names({ instanceId, name }: Machine, texts: object): boolean {
  return Object.values(texts).some((text) => text === instanceId || text === name);
}
