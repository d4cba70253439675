import { expect, test } from "vitest";
import type { NodeState } from "../../core/index.ts";
import { Leaving, type LeavingContainer } from "./leaving.ts";

/** A container with inputs in it, which notes that it was told to drain. */
class BusyContainer implements LeavingContainer {
  readonly containerId: string;
  readonly nodeId: string | undefined;
  state: LeavingContainer["state"] = "ready";
  isLeaving = false;
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

function leavingOf(containers: readonly BusyContainer[], states: Record<string, NodeState>) {
  const stopped: string[] = [];
  const leaving = new Leaving<BusyContainer>({
    containers: () => containers,
    stateOf: (nodeId) => states[nodeId],
    stop: (container) => {
      container.state = "stopping";
      stopped.push(container.containerId);
    },
  });
  return { leaving, stopped };
}

test("S23: a container on a draining node finishes its inputs before it ends", () => {
  const busy = new BusyContainer("co_busy", "no_1", 1);
  const idle = new BusyContainer("co_idle", "no_1", 0);
  const { leaving, stopped } = leavingOf([busy, idle], { no_1: "draining" });
  leaving.tick();
  leaving.tick();
  expect(stopped).toEqual(["co_idle"]);
  expect([busy.isLeaving, busy.drainCount]).toEqual([true, 1]);
  busy.inputCount = 0;
  leaving.tick();
  leaving.tick();
  expect(stopped).toEqual(["co_idle", "co_busy"]);
});

test("containers on nodes that stay, on none, and on unknown ones are left alone", () => {
  const containers = [
    new BusyContainer("co_healthy", "no_1", 0),
    new BusyContainer("co_cordoned", "no_2", 0),
    new BusyContainer("co_pending", undefined, 0),
    new BusyContainer("co_unknown", "no_3", 0),
  ];
  const { leaving, stopped } = leavingOf(containers, { no_1: "healthy", no_2: "cordoned" });
  leaving.tick();
  expect(stopped).toEqual([]);
  expect(containers.some(({ isLeaving }) => isLeaving)).toBe(false);
});
