import { expect, test } from "vitest";
import { createRng, MS_PER_HOUR, MS_PER_MINUTE } from "../../core/index.ts";
import { exponentialDraws } from "../chance.ts";
import { Dispatch } from "./dispatch.ts";
import { FunctionState, newContainer, type Container } from "./function-state.ts";
import { Recorder } from "./recorder.ts";
import { testFunction } from "./test-world.ts";

/** A function whose containers run three inputs at once, and its dispatch. */
function open(): {
  readonly owner: FunctionState;
  readonly dispatch: Dispatch;
  readonly start: (containerId: string) => Container;
} {
  const spec = testFunction({ concurrency: 3 });
  const owner = new FunctionState(0, spec, exponentialDraws(createRng("draws")));
  const recorder = new Recorder(MS_PER_HOUR, 10 * MS_PER_MINUTE);
  const ignore = (): void => undefined;
  const dispatch = new Dispatch({ recorder, onDirty: ignore, onGone: ignore, onIdle: ignore });
  const start = (containerId: string): Container => {
    const container = newContainer(containerId, owner, 0);
    container.state = "starting";
    container.nodeId = "no_0";
    container.placedAtMs = 0;
    owner.containers.add(container);
    dispatch.placed(container, 0);
    dispatch.ready(container, 0);
    return container;
  };
  return { owner, dispatch, start };
}

test("what ran in a container that is gone goes to all that have room, and none is listed twice", () => {
  const { owner, dispatch, start } = open();
  const first = start("first");
  for (let count = 0; count < 3; count += 1) dispatch.arrive(owner, 0, 1_000);
  const [second, third] = [start("second"), start("third")];
  dispatch.arrive(owner, 0, 1_000);
  expect([first, second, third].map(({ runs }) => runs.length)).toEqual([3, 0, 1]);
  dispatch.end(first, 10);
  expect([first, second, third].map(({ runs }) => runs.length)).toEqual([0, 1, 3]);
  expect(owner.idle).toEqual([second]);
  // Three were cut short, and four end.
  for (let count = 0; count < 7; count += 1) dispatch.endRun(1_010);
  expect(new Set(owner.idle)).toEqual(new Set([second, third]));
  expect(owner.idle).toHaveLength(2);
  for (const one of [second, third]) dispatch.end(one, 2_000);
  expect(owner.idle).toEqual([]);
  // What comes now waits: nobody that has ended may take it.
  dispatch.arrive(owner, 2_001, 1_000);
  expect(owner.queue.length).toBe(1);
});
