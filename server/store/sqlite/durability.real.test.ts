import { afterEach, beforeEach, expect, test } from "vitest";
import { OPEN_STORE, StoreProcesses, urlOf } from "../test-processes.ts";
import { openRecordStore } from "./open.ts";

/** Acknowledged writes after which the writer is killed, each somewhere in the middle of more. */
const KILLS = [1, 60, 350];
const OPENERS = 4;

/** Appends inputs and records their results without a pause, and says what is acknowledged. */
const WRITER = `
  import { writeSync } from "node:fs";
  ${OPEN_STORE}
  import { aResult, inputsOf } from ${urlOf("./conformance/samples.ts")};
  const { ledger } = openRecordStore(process.argv[1]);
  for (let index = 0; ; index += 1) {
    const accepting = ledger.acceptInputs(inputsOf("ca_1", index, 1));
    const recording = index === 0 ? undefined : ledger.recordResults([aResult("ca_1", index - 1)]);
    await Promise.all([accepting, recording]);
    writeSync(1, index + "\\n");
  }
`;
const OPENER = `
  ${OPEN_STORE}
  process.stdin.once("data", async () => {
    const store = openRecordStore(process.argv[1]);
    await store.plans.append({ planId: process.argv[2], atMs: 1, plan: {} });
    await store.close();
    process.stdin.destroy();
  });
  process.stdout.write("waiting\\n");
`;

let processes: StoreProcesses;

beforeEach(async () => {
  processes = await StoreProcesses.open();
});

afterEach(() => processes.close());

test("whatever was acknowledged before a kill -9 is there, and only whole writes are", async () => {
  for (const wanted of KILLS) {
    const file = processes.pathOf(`killed-${wanted}`);
    const { lines, child } = processes.run(WRITER, file);
    let acknowledged = 0;
    for (let said = await lines.next(); said.done !== true; said = await lines.next()) {
      acknowledged = Number(said.value) + 1;
      if (acknowledged >= wanted) child.kill("SIGKILL");
    }
    const store = openRecordStore(file);
    const call = await store.calls.get("ca_1");
    const present = call?.inputCount ?? 0;
    expect(present).toBeGreaterThanOrEqual(acknowledged);
    const refs = Array.from({ length: present }, (_, index) => ({ callId: "ca_1", index }));
    const inputs = await store.ledger.loadInputs(refs);
    expect(inputs.map(({ payload }) => payload)).toEqual(
      refs.map(({ index }) => ({ kind: "inline", bytes: Uint8Array.of(index % 256) })),
    );
    const { results } = await store.calls.results("ca_1", 0, present);
    expect(call?.finishedCount).toBe(results.length);
    expect(results.length).toBeGreaterThanOrEqual(acknowledged - 1);
    expect(inputs.filter(({ finished }) => finished)).toHaveLength(results.length);
    await store.close();
  }
});

test("of several processes that open a new file at once, one migrates and all can write", async () => {
  const path = processes.pathOf();
  const openers = Array.from({ length: OPENERS }, (_, position) =>
    processes.run(OPENER, path, `pl_${position}`),
  );
  await Promise.all(openers.map((opener) => opener.next()));
  for (const opener of openers) opener.tell("go");
  const endings = openers.map(({ ended }) => ended);
  expect(await Promise.all(endings)).toEqual(openers.map(() => [0, null]));
  const store = openRecordStore(path);
  expect(await store.plans.latest()).toBeDefined();
  await store.close();
});
