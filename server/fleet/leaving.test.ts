import { expect, test } from "vitest";
import type { Node } from "../../core/index.ts";
import { Leaving, type LeavingContainer } from "./leaving.ts";

/** A container with inputs in it, which notes that it was told to drain. */
class BusyContainer implements LeavingContainer {
  readonly containerId: string;
  readonly nodeId: string | undefined;
  state: LeavingContainer["state"] = "ready";
  isLeaving = false;
  endsSlowly = false;
  drainCount = 0;
  inputCount: number;
  readonly live;

  constructor(containerId: string, nodeId: string | undefined, inputCount: number) {
    this.containerId = containerId;
    this.nodeId = nodeId;
    this.inputCount = inputCount;
    this.live = {
      dispatcher: {
        containerDrains: () => {
          this.drainCount += 1;
        },
        inflightCount: () => this.inputCount,
      },
    };
  }
}

type Nodes = Readonly<Record<string, Pick<Node, "state" | "stateSinceMs">>>;

function leavingOf(
  containers: readonly BusyContainer[],
  nodes: Nodes,
  releaseByMs: Record<string, number> = {},
) {
  const stopped: string[] = [];
  const gracesMs: (number | undefined)[] = [];
  const leaving = new Leaving<BusyContainer>({
    containers: () => containers,
    nodeOf: (nodeId) => nodes[nodeId],
    releaseByMs: (nodeId) => releaseByMs[nodeId],
    stop: (container, _, graceMs) => {
      container.state = "stopping";
      stopped.push(container.containerId);
      gracesMs.push(graceMs);
    },
  });
  return { leaving, stopped, gracesMs };
}

function slow(containerId: string): BusyContainer {
  const container = new BusyContainer(containerId, "no_1", 1);
  container.endsSlowly = true;
  return container;
}

const DRAINING: Nodes = { no_1: { state: "draining", stateSinceMs: 1_000 } };

test("S23: a container on a draining node finishes its inputs before it ends", () => {
  const busy = new BusyContainer("co_busy", "no_1", 1);
  const idle = new BusyContainer("co_idle", "no_1", 0);
  const { leaving, stopped } = leavingOf([busy, idle], DRAINING);
  leaving.tick(1_000);
  leaving.tick(1_000);
  expect(stopped).toEqual(["co_idle"]);
  expect([busy.isLeaving, busy.drainCount]).toEqual([true, 1]);
  busy.inputCount = 0;
  leaving.tick(1_000);
  leaving.tick(1_000);
  expect(stopped).toEqual(["co_idle", "co_busy"]);
});

test("containers on nodes that stay, on none, and on unknown ones are left alone", () => {
  const containers = [
    new BusyContainer("co_healthy", "no_1", 0),
    new BusyContainer("co_cordoned", "no_2", 0),
    new BusyContainer("co_pending", undefined, 0),
    new BusyContainer("co_unknown", "no_3", 0),
  ];
  for (const container of containers) container.endsSlowly = true;
  const { leaving, stopped } = leavingOf(
    containers,
    {
      no_1: { state: "healthy", stateSinceMs: 0 },
      no_2: { state: "cordoned", stateSinceMs: 0 },
    },
    { no_1: 1, no_2: 1, no_3: 1 },
  );
  leaving.tick(1_000);
  expect(stopped).toEqual([]);
  expect(containers.some(({ isLeaving }) => isLeaving)).toBe(false);
});

test("one that works and has exit hooks gets the second half of a short drain for its end", () => {
  const one = slow("co_slow");
  const quick = new BusyContainer("co_quick", "no_1", 1);
  const { leaving, stopped, gracesMs } = leavingOf([one, quick], DRAINING, { no_1: 21_000 });
  leaving.tick(1_000);
  leaving.tick(10_999);
  expect([stopped, one.isLeaving]).toEqual([[], true]);
  leaving.tick(11_500);
  leaving.tick(12_500);
  leaving.tick(20_999);
  expect([stopped, gracesMs]).toEqual([["co_slow"], [9_500]]);
});

test("it gets the last half minute of a long drain, and what is left when that was cut short", () => {
  const releaseByMs = { no_1: 901_000 };
  const one = slow("co_1");
  const { leaving, stopped, gracesMs } = leavingOf([one], DRAINING, releaseByMs);
  leaving.tick(870_999);
  expect(stopped).toEqual([]);
  leaving.tick(871_000);
  expect(gracesMs).toEqual([30_000]);

  const cut = slow("co_2");
  const other = leavingOf([cut], DRAINING, releaseByMs);
  other.leaving.tick(500_000);
  releaseByMs.no_1 = 505_000;
  other.leaving.tick(501_000);
  expect(other.gracesMs).toEqual([4_000]);
});

test("without a word of when the node goes, and after it should have gone, nothing is odd", () => {
  const one = slow("co_1");
  const unsaid = leavingOf([one], DRAINING);
  unsaid.leaving.tick(9_000_000);
  expect(unsaid.stopped).toEqual([]);
  const late = leavingOf([one], DRAINING, { no_1: 500 });
  late.leaving.tick(9_000);
  expect([late.stopped, late.gracesMs]).toEqual([["co_1"], [0]]);
});
