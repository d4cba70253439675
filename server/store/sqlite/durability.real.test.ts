import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openRecordStore } from "./open.ts";

const OPEN = JSON.stringify(new URL("./open.ts", import.meta.url).href);
const SAMPLES = JSON.stringify(new URL("../conformance/samples.ts", import.meta.url).href);
/** Acknowledged writes after which the writer is killed, each somewhere in the middle of more. */
const KILLS = [1, 60, 350];
const OPENERS = 4;

/** Appends inputs and records their results without a pause, and says what is acknowledged. */
const WRITER = `
  import { writeSync } from "node:fs";
  import { openRecordStore } from ${OPEN};
  import { aResult, inputsOf } from ${SAMPLES};
  const { ledger } = openRecordStore(process.argv[1]);
  for (let index = 0; ; index += 1) {
    const accepting = ledger.acceptInputs(inputsOf("ca_1", index, 1));
    const recording = index === 0 ? undefined : ledger.recordResults([aResult("ca_1", index - 1)]);
    await Promise.all([accepting, recording]);
    writeSync(1, index + "\\n");
  }
`;
const OPENER = `
  import { openRecordStore } from ${OPEN};
  process.stdin.once("data", async () => {
    const store = openRecordStore(process.argv[1]);
    await store.plans.append({ planId: process.argv[2], atMs: 1, plan: {} });
    await store.close();
    process.stdin.destroy();
  });
  process.stdout.write("waiting\\n");
`;

let dir: string;
let path: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-durable-"));
  path = join(dir, "records.db");
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await rm(dir, { recursive: true });
});

const run = (program: string, ...args: readonly string[]) => {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  children.push(child);
  return child;
};

test("whatever was acknowledged before a kill -9 is there, and only whole writes are", async () => {
  for (const wanted of KILLS) {
    const file = `${path}-${wanted}`;
    const writer = run(WRITER, file);
    let acknowledged = 0;
    for await (const line of createInterface({ input: writer.stdout })) {
      acknowledged = Number(line) + 1;
      if (acknowledged >= wanted) writer.kill("SIGKILL");
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
  const openers = Array.from({ length: OPENERS }, (_, position) =>
    run(OPENER, path, `pl_${position}`),
  );
  await Promise.all(openers.map((opener) => once(opener.stdout, "data")));
  const endings = openers.map((opener) => once(opener, "close"));
  for (const opener of openers) opener.stdin.end("go");
  expect(await Promise.all(endings)).toEqual(openers.map(() => [0, null]));
  const store = openRecordStore(path);
  expect(await store.plans.latest()).toBeDefined();
  await store.close();
});
