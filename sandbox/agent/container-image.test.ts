import { beforeEach, expect, test } from "vitest";
import { settled } from "../fake/clock.ts";
import type { HeldContainerImage } from "../images/node-images.ts";
import { filesOf } from "./container-image.ts";
import { TestContainer } from "./test-container.ts";

const IMAGE = { rootfs: "/mounts/one", node: "/opt/node" };

let opening: PromiseWithResolvers<HeldContainerImage>;
let said: string[];
let lose: () => void;
let one: TestContainer;

beforeEach(() => {
  opening = Promise.withResolvers();
  said = [];
  const hold = (_: unknown, onLost: () => void): Promise<HeldContainerImage> => {
    lose = onLost;
    return opening.promise;
  };
  const openFiles = filesOf({ imageId: "one" }, { hold }, undefined);
  one = new TestContainer(undefined, {}, undefined, { openFiles });
});

const comes = async (): Promise<void> => {
  opening.resolve({
    image: IMAGE,
    started: () => said.push("started"),
    release: () => said.push("released"),
  });
  await settled();
};

test("a container starts when its image is there, and has it until its end", async () => {
  await one.start();
  expect(one.runtime.started).toEqual([]);
  await comes();
  expect(one.sandbox.spec.image).toEqual(IMAGE);
  one.sandbox.say({ type: "ready" });
  await settled();
  expect(said).toEqual(["started"]);
  one.sandbox.end({ exitCode: 0 });
  await one.running;
  expect(said).toEqual(["started", "released"]);
});

test("an image that cannot be had is a failed start, with the reason", async () => {
  await one.start();
  opening.reject(new Error("the store cannot be reached"));
  await one.running;
  expect(one.runtime.started).toEqual([]);
  expect(one.reported.exits).toMatchObject([
    {
      kind: "startup_failed",
      message: "the container could not start: the store cannot be reached",
    },
  ]);
});

test("a container that is stopped does not wait for its image, which is released when it comes", async () => {
  await one.start();
  one.container.stop();
  await one.running;
  expect(one.reported.exits).toMatchObject([{ kind: "stopped" }]);
  await comes();
  expect(said).toEqual(["released"]);
  expect(one.runtime.started).toEqual([]);
});

test("a container whose image does not come in time has failed to start", async () => {
  await one.start();
  await one.pass(5_001);
  await one.running;
  expect(one.reported.exits).toMatchObject([{ kind: "startup_failed" }]);
  opening.reject(new Error("too late"));
  await settled();
  expect(said).toEqual([]);
});

test("without its image a container ends, and its only input is not to blame", async () => {
  await one.start();
  await comes();
  one.sandbox.say({ type: "ready" });
  await settled();
  one.push("ca_1.0");
  lose();
  await one.running;
  expect(one.sandbox.kills).toBe(1);
  expect(one.reported.results).toEqual([]);
  expect(one.reported.exits).toMatchObject([
    {
      kind: "stopped",
      inputIds: ["ca_1.0"],
      message: "the container was ended: the process that served its image ended",
    },
  ]);
  // It is over: what is said now changes nothing.
  lose();
  expect(one.reported.exits).toHaveLength(1);
});

test("an image that goes while its container starts ends it before it runs", async () => {
  const gate = Promise.withResolvers<undefined>();
  one.runtime.gate = gate.promise;
  await one.start();
  await comes();
  lose();
  gate.resolve(undefined);
  await one.running;
  expect(one.sandbox.kills).toBe(1);
  expect(one.reported.exits).toMatchObject([{ kind: "stopped" }]);
});
