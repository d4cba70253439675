import { expect, test } from "vitest";
import type { EventBody, PlatformEvent } from "../protocol/index.ts";
import { StartExplainer } from "./explain-start.ts";

let count = 0;
const at = (
  atMs: number,
  body: EventBody,
  subject: { readonly nodeId?: string; readonly containerId?: string } = {},
): PlatformEvent => ({ eventId: String((count += 1)), atMs, ...subject, ...body });

const CONTAINER = { containerId: "co_1", nodeId: "no_1" };
const READY = { kind: "container.ready", startMs: 900 } as const;

test("the parts of a start add up to the whole of it", () => {
  const explainer = new StartExplainer();
  const quiet = [
    at(1_000, { kind: "call.queued", inputs: 1 }),
    at(1_100, { kind: "node.requested", offerId: "o", usdPerHour: 1, reason: "r" }, CONTAINER),
    at(
      31_100,
      { kind: "node.registered", description: "d", emulated: false, isolation: "gvisor" },
      CONTAINER,
    ),
    at(31_150, { kind: "container.placed", reason: "r" }, CONTAINER),
    at(31_150, { kind: "container.starting" }, CONTAINER),
  ].map((event) => explainer.note(event));
  expect(quiet).toEqual(quiet.map(() => undefined));
  const stages = { imageMs: 200, bootMs: 400, initMs: 300 };
  expect(explainer.note(at(32_050, { ...READY, stages }, CONTAINER))).toBe(
    "cold start of co_1: 31.1 s = queue 150 ms + provision 30.0 s + image 200 ms + boot 400 ms + your code 300 ms",
  );
});

test("a machine that was there before is no part of it, and a restore is named", () => {
  const explainer = new StartExplainer();
  explainer.note(
    at(0, { kind: "node.requested", offerId: "o", usdPerHour: 1, reason: "r" }, CONTAINER),
  );
  explainer.note(
    at(
      9_000,
      { kind: "node.registered", description: "d", emulated: false, isolation: "gvisor" },
      CONTAINER,
    ),
  );
  explainer.note(at(20_000, { kind: "call.queued", inputs: 1 }));
  explainer.note(at(20_000, { kind: "container.placed", reason: "r" }, CONTAINER));
  const stages = { imageMs: 0, bootMs: 80, initMs: 20 };
  const event = at(
    20_100,
    { kind: "container.ready", startMs: 100, stages, restored: true },
    CONTAINER,
  );
  expect(explainer.note(event)).toBe(
    "cold start of co_1: 100 ms = queue 0 ms + provision 0 ms + image 0 ms + restore 80 ms + your code 20 ms",
  );
});

test("a server that knows no parts, and a container whose beginning was not seen, have what there is", () => {
  expect(new StartExplainer().note(at(5, READY, CONTAINER))).toBe(
    "cold start of co_1: 900 ms = queue 0 ms + provision 0 ms + start 900 ms",
  );
});
