import { beforeEach, expect, test } from "vitest";
import type { ToRunner } from "../runners/protocol.ts";
import type { Piece } from "../streams/piece.ts";
import { AbortedInputs } from "./aborted-inputs.ts";
import { ContainerStreams } from "./container-streams.ts";
import { TestContainer } from "./test-container.ts";

const NOTHING = new Uint8Array(0);
const BEGIN = { kind: "begin" } as const;
const DATA = { kind: "data" } as const;

let held: Set<string>;
let toServer: [string, Piece["kind"]][];
let toRunner: ToRunner[];
let streams: ContainerStreams;

beforeEach(() => {
  held = new Set(["ca_1.0"]);
  toServer = [];
  toRunner = [];
  streams = new ContainerStreams({
    holds: (inputId) => held.has(inputId),
    toRunner: (message) => toRunner.push(message),
    toServer: (streamId, { kind }) => toServer.push([streamId, kind]),
  });
});

test("only inputs that the container holds have streams", () => {
  streams.fromRunner("ca_2.0", BEGIN, NOTHING);
  streams.fromRunner("ca_2.0", DATA, NOTHING);
  streams.fromRunner("ca_1.0", DATA, NOTHING);
  expect(toServer).toEqual([]);
  streams.fromRunner("ca_1.0", BEGIN, NOTHING);
  streams.fromRunner("ca_1.0", DATA, NOTHING);
  expect(toServer).toEqual([
    ["ca_1.0", "begin"],
    ["ca_1.0", "data"],
  ]);
});

test("a stream outlives its input, until either side gives it up", () => {
  streams.fromRunner("ca_1.0", BEGIN, NOTHING);
  held.clear();
  streams.fromRunner("ca_1.0", { kind: "credit", bytes: 1 }, NOTHING);
  streams.fromServer("ca_1.0", { kind: "reset", message: "gone" }, NOTHING);
  streams.fromRunner("ca_1.0", DATA, NOTHING);
  expect(toServer.map(([, kind]) => kind)).toEqual(["begin", "credit"]);
});

test("a broken link ends every open stream at the runner, once", () => {
  streams.fromRunner("ca_1.0", BEGIN, NOTHING);
  streams.cutOff();
  streams.cutOff();
  const message = "the connection to the server broke";
  expect(toRunner).toEqual([
    { type: "stream", streamId: "ca_1.0", piece: { kind: "reset", message } },
  ]);
});

test("a container passes pieces on both ways, with their bytes", async () => {
  const test = new TestContainer();
  await test.startWith("ca_1.0");
  test.sandbox.say({ type: "stream", streamId: "ca_1.0", piece: BEGIN });
  test.sandbox.say({ type: "stream", streamId: "ca_1.0", piece: DATA }, [Buffer.from("there")]);
  test.sandbox.say({ type: "stream", streamId: "ca_9.0", piece: BEGIN });
  await test.pass(0);
  const { pieces } = test.reported;
  expect(pieces.map(({ piece, body }) => [piece.kind, Buffer.from(body).toString()])).toEqual([
    ["begin", ""],
    ["data", "there"],
  ]);
  test.container.streams.fromServer("ca_1.0", DATA, Buffer.from("back"));
  await test.pass(0);
  const last = test.sandbox.told.at(-1);
  expect(last?.header).toEqual({ type: "stream", streamId: "ca_1.0", piece: DATA });
  expect(Buffer.from(last?.body ?? NOTHING).toString()).toBe("back");
});

test("a runner that says what is no piece is ended", async () => {
  const test = new TestContainer();
  await test.startWith("ca_1.0");
  const piece = { kind: "head", status: 7, headers: [] } as const;
  test.sandbox.say({ type: "stream", streamId: "ca_1.0", piece });
  await test.pass(0);
  expect(test.sandbox.kills).toBe(1);
});

test("an input that does not stop ends its container, but for web requests among others", () => {
  const alone = new AbortedInputs(1);
  const shared = new AbortedInputs(10);
  const web = { inputId: "ca_1.0", bytes: 0, web: { withinMs: 1 } };
  for (const inputs of [alone, shared]) {
    inputs.note([web, { inputId: "ca_2.0", bytes: 0 }]);
    inputs.tell(["ca_1.0"], 0);
  }
  expect(alone.isOverdue(499)).toBe(false);
  expect(alone.isOverdue(500)).toBe(true);
  expect(shared.isOverdue(10_000)).toBe(false);
  shared.tell(["ca_2.0"], 0);
  expect(shared.isOverdue(500)).toBe(true);
  shared.forget(["ca_2.0"]);
  expect(shared.isOverdue(500)).toBe(false);
});
