import { beforeEach, expect, test } from "vitest";
import type { ServerMessage } from "../../sandbox/index.ts";
import type { EventBody } from "../../sdk/protocol/index.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import { ContainerLines } from "./container-lines.ts";
import type { ContainerRecord } from "./container-table.ts";

const FUNCTION = { functionId: "fn_1", appId: "ap_1" } as LiveFunction;
const HELD = { containerId: "co_held", nodeId: "no_1", live: FUNCTION } as ContainerRecord;

let published: { subject: object; sequence: number }[];
let told: ServerMessage[];
let writing: PromiseWithResolvers<undefined>;
let lines: ContainerLines;
const errors: unknown[] = [];

beforeEach(() => {
  published = [];
  told = [];
  writing = Promise.withResolvers();
  lines = new ContainerLines({
    containers: { get: (id) => (id === HELD.containerId ? HELD : undefined) },
    functions: { get: (id) => Promise.resolve(id === "fn_1" ? FUNCTION : undefined) },
    events: {
      publish: (subject, body: EventBody) => {
        if (body.kind === "log") published.push({ subject, sequence: body.sequence });
      },
      written: () => writing.promise,
    },
    onError: (error) => errors.push(error),
  });
});

const link = { send: (message: ServerMessage) => told.push(message), acknowledge: () => undefined };
const take = (containerId: string, first: number, last: number, functionId = "fn_1"): void =>
  lines.take(link, {
    type: "logs",
    containerId,
    functionId,
    lines: Array.from({ length: last - first + 1 }, (_, at) => {
      return { stream: "stdout", text: "x", sequence: first + at, inputId: "ca_1.0" };
    }),
  });
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const sequences = (): readonly number[] => published.map(({ sequence }) => sequence);

test("an agent is told of lines when they are in the stream and not before", async () => {
  take("co_held", 1, 3);
  await settled();
  expect(sequences()).toEqual([1, 2, 3]);
  expect(told).toEqual([]);
  writing.resolve(undefined);
  await settled();
  expect(told).toEqual([{ type: "logged", containerId: "co_held", sequence: 3 }]);
});

test("lines that are sent again are published once", () => {
  take("co_held", 1, 3);
  take("co_held", 1, 5);
  take("co_held", 2, 4);
  expect(sequences()).toEqual([1, 2, 3, 4, 5]);
});

test("lines of a container that ended while its node was away are its app's, in order", async () => {
  take("co_gone", 1, 2);
  take("co_gone", 3, 3);
  await settled();
  expect(sequences()).toEqual([1, 2, 3]);
  expect(published[0]?.subject).toEqual({
    appId: "ap_1",
    functionId: "fn_1",
    containerId: "co_gone",
    callId: "ca_1",
  });
});

test("lines of a function that is no more are kept by nobody", async () => {
  take("co_gone", 1, 2, "fn_gone");
  await settled();
  expect(published).toEqual([]);
  expect(told).toEqual([{ type: "logged", containerId: "co_gone", sequence: 2 }]);
  expect(errors).toEqual([]);
});
