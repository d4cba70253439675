import { existsSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { describe, expect, test } from "vitest";
import { decodeValue } from "../../../sdk/protocol/index.ts";
import { useTestRunner } from "./test-runner.ts";

const MIB = 1024 * 1024;
const current = useTestRunner();

const valueOf = async (inputId: string): Promise<unknown> => {
  const answer = await current.runner.answer(inputId);
  expect(answer).toMatchObject({ outcome: "succeeded" });
  return decodeValue(answer.payload);
};

describe("loading", () => {
  test("a module is loaded with exactly the environment that it was given", async () => {
    const source = "export const env = () => ({ ...process.env });";
    expect(await current.runner.boot("env", source, { MODE: "test" })).toMatchObject({
      type: "ready",
    });
    current.runner.give({ a: 0 });
    expect(await valueOf("a")).toEqual({ MODE: "test" });
  });

  test("the code lies in the container's own folder and nowhere else", async () => {
    const foreign = (): readonly string[] =>
      readdirSync(tmpdir()).filter((name) => /^app-\d+\.mjs$/.test(name));
    const before = foreign();
    await current.runner.boot("where", "export const where = () => import.meta.url;");
    current.runner.give({ a: 0 });
    expect(await valueOf("a")).toContain(current.bundleDir);
    expect(foreign()).toEqual(before);
    await current.runner.end();
    expect(existsSync(current.bundleDir)).toBe(false);
  });

  test("a module that throws is told with its error and what it printed", async () => {
    const source = 'process.stdout.write("before"); throw new TypeError("not in here");';
    expect(await current.runner.boot("f", source)).toMatchObject({
      type: "load_failed",
      error: { name: "TypeError", message: "not in here" },
    });
    expect(current.runner.lines).toEqual([{ stream: "stdout", text: "before" }]);
  });

  test("a module may import node:process, and its input has ended", async () => {
    const source = `
      import { stdin } from "node:process";
      let text = "";
      for await (const chunk of stdin) text += chunk;
      export const f = () => [text, process.stdin === stdin, stdin.readableEnded];
    `;
    expect(await current.runner.boot("f", source)).toMatchObject({ type: "ready" });
    current.runner.give({ a: 0 });
    expect(await valueOf("a")).toEqual(["", true, true]);
  });

  test("nothing of HTTP is loaded for a function that does not use it", async () => {
    const source = "export const loaded = () => process.moduleLoadList;";
    await current.runner.boot("loaded", source);
    current.runner.give({ a: 0 });
    const loaded = (await valueOf("a")) as readonly string[];
    expect(loaded).toContain("NativeModule net");
    expect(loaded.filter((name) => /NativeModule (http|.*undici)/.test(name))).toEqual([]);
  });

  test("a function that the module does not have is named", async () => {
    expect(await current.runner.boot("f", "export const g = 1;")).toMatchObject({
      error: { message: "there is no function f" },
    });
  });

  test("code without the SDK is told so", async () => {
    current.runner.bootWithout("f", "export const f = () => 1;");
    expect(await current.runner.hear(({ type }) => type === "load_failed")).toMatchObject({
      error: { message: expect.stringMatching(/does not import "flotilla"/) as string },
    });
  });

  test("inputs that come before the module is loaded wait for it", async () => {
    current.runner.give({ a: 4 });
    await current.runner.boot("double", "await 0; export const double = (x) => x * 2;");
    expect(await valueOf("a")).toBe(8);
  });
});

describe("inputs", () => {
  test("run one after the other, in order, and each is answered once", async () => {
    await current.runner.boot(
      "f",
      `let active = 0;
       export const f = async (x) => {
         active += 1;
         await new Promise((resolve) => setImmediate(resolve));
         return [x, active--];
       };`,
    );
    const ids = Array.from({ length: 500 }, (_, position) => `in_${position}`);
    current.runner.give(Object.fromEntries(ids.map((inputId, position) => [inputId, position])));
    await current.runner.answer("in_499");
    expect(current.runner.answers.map(({ inputId }) => inputId)).toEqual(ids);
    for (const [position, { payload }] of current.runner.answers.entries()) {
      expect(decodeValue(payload)).toEqual([position, 1]);
    }
  });

  test("fail with the user's own error, wherever it is thrown, and the next one runs", async () => {
    await current.runner.boot(
      "f",
      `export const f = (how) => {
         if (how === "sync") throw new RangeError("no room");
         if (how === "async") return Promise.reject(new RangeError("no room"));
         if (how === "later") return new Promise(() => setImmediate(() => { throw new RangeError("no room"); }));
         if (how === "unhandled") return new Promise(() => void Promise.reject(new RangeError("no room")));
         return how;
       };`,
    );
    const ways = ["sync", "async", "later", "unhandled"];
    current.runner.give({ ...Object.fromEntries(ways.map((way) => [way, way])), fine: "fine" });
    expect(await valueOf("fine")).toBe("fine");
    for (const way of ways) {
      expect(await current.runner.answer(way)).toMatchObject({
        outcome: "failed",
        bytes: 0,
        error: { name: "RangeError", message: "no room" },
      });
    }
  });

  test("fail alone when what they give cannot be sent or kept, or is hostile", async () => {
    await current.runner.boot(
      "f",
      `export const f = (how) => {
         if (how === "function") return { callback: () => 1 };
         if (how === "large") return new Uint8Array(80 * 1024 * 1024);
         if (how === "hostile") throw Object.assign(new Error("x"), { message: 5n, name: 6n });
         return how;
       };`,
    );
    current.runner.refuse(413, "the disk is full");
    current.runner.give({ function: "function", large: "large", hostile: "hostile", fine: "fine" });
    expect(await valueOf("fine")).toBe("fine");
    expect(await current.runner.answer("function")).toMatchObject({
      error: { code: "not_serializable" },
    });
    expect(await current.runner.answer("large")).toMatchObject({
      error: { message: expect.stringContaining("413 the disk is full") as string },
    });
    expect(await current.runner.answer("hostile")).toMatchObject({
      error: { message: "5n", name: "6n" },
    });
  });

  test("that have not begun are given back when they are cancelled, the running one is not", async () => {
    await current.runner.boot(
      "f",
      `let release;
       export const f = (x) => x === "hold"
         ? new Promise((resolve) => { console.log("holding"); setTimeout(() => resolve("held"), 300_000); release = resolve; })
         : x;`,
    );
    current.runner.give({ a: "hold", b: 1, c: 2 });
    await current.runner.hear(({ type }) => type === "logs");
    current.runner.say({ type: "cancel", inputIds: ["a", "c", "unknown"] });
    expect(await current.runner.answer("c")).toMatchObject({ outcome: "returned", bytes: 0 });
    expect(current.runner.answers.map(({ inputId }) => inputId)).toEqual(["c"]);
  });
});

describe("ending", () => {
  test("a call of exit is told with its code and input, after all answers before it", async () => {
    await current.runner.boot("f", "export const f = (x) => x === 3 ? process.exit(7) : x;");
    current.runner.give({ a: 1, b: 2, c: 3, d: 4 });
    expect(await current.runner.exited).toMatchObject({ exitCode: 7 });
    expect(current.runner.answers.map(({ inputId }) => inputId)).toEqual(["a", "b"]);
    expect(current.runner.messages.at(-1)).toEqual({ type: "exiting", exitCode: 7, inputId: "c" });
  });

  test("an exit outside any input names none", async () => {
    await current.runner.boot(
      "f",
      "export const f = () => setImmediate(() => process.exit()) && 1;",
    );
    current.runner.give({ a: 0 });
    expect(await current.runner.exited).toMatchObject({ exitCode: 0 });
    expect(current.runner.messages.at(-1)).toEqual({ type: "exiting", exitCode: 0 });
  });

  test("the end of the channel is its end, also while an input runs", async () => {
    await current.runner.boot(
      "f",
      "export const f = () => { console.log(1); return new Promise(() => setInterval(() => 1, 1e6)); };",
    );
    current.runner.give({ a: 0 });
    await current.runner.hear(({ type }) => type === "logs");
    current.runner.channel.destroy();
    expect(await current.runner.exited).toMatchObject({ exitCode: 0 });
  });
});

describe("output", () => {
  test("comes before the answer of its input, with the input's name, unfinished lines too", async () => {
    await current.runner.boot(
      "f",
      `export const f = (x) => { console.log("out", x); process.stderr.write("err " + x); };`,
    );
    current.runner.give({ a: 1, b: 2 });
    await current.runner.answer("b");
    expect(current.runner.lines).toEqual([
      { stream: "stdout", text: "out 1", inputId: "a" },
      { stream: "stderr", text: "err 1", inputId: "a" },
      { stream: "stdout", text: "out 2", inputId: "b" },
      { stream: "stderr", text: "err 2", inputId: "b" },
    ]);
    expect(current.runner.messages.findLastIndex(({ type }) => type === "logs")).toBeLessThan(
      current.runner.messages.findLastIndex(({ type }) => type === "results"),
    );
  });

  test("of programs that the user starts leaves past the runner", async () => {
    await current.runner.boot(
      "f",
      `import { spawnSync } from "node:child_process";
       export const f = () => spawnSync("/bin/sh", ["-c", "echo of a child; echo aside >&2"], { stdio: "inherit" }).status;`,
    );
    current.runner.give({ a: 0 });
    expect(await valueOf("a")).toBe(0);
    await current.runner.end();
    expect(current.runner.stdout).toBe("of a child\n");
    expect(current.runner.stderr).toBe("aside\n");
  });

  test("of an error that nobody caught outside an input is printed, and the runner lives", async () => {
    await current.runner.boot(
      "f",
      `setImmediate(() => { throw new RangeError("alone"); }); export const f = () => 1;`,
    );
    const told = await current.runner.hear(({ type }) => type === "logs");
    expect(told).toMatchObject({ type: "logs" });
    expect(current.runner.lines[0]).toEqual({
      stream: "stderr",
      text: "Uncaught RangeError: alone",
    });
    current.runner.give({ a: 0 });
    expect(await valueOf("a")).toBe(1);
  });
});

describe("a channel that is full", () => {
  test("holds answers back and delivers them whole and in order", async () => {
    await current.runner.boot(
      "f",
      "export const f = (x) => new Uint8Array(8 * 1024 * 1024).fill(x);",
    );
    current.runner.give({ a: 1, b: 2, c: 3 });
    for (const [position, inputId] of ["a", "b", "c"].entries()) {
      const bytes = await valueOf(inputId);
      expect(bytes).toBeInstanceOf(Uint8Array);
      expect(Buffer.from(bytes as Uint8Array).equals(Buffer.alloc(8 * MIB, position + 1))).toBe(
        true,
      );
    }
  });

  test("still gets the last words of a runner that exits while the channel is full", async () => {
    await current.runner.boot(
      "f",
      `export const f = (x) => x === 0 ? new Uint8Array(8 * 1024 * 1024) : process.exit(5);`,
    );
    current.runner.give({ a: 0, b: 1 });
    expect(await current.runner.exited).toMatchObject({ exitCode: 5 });
    expect((await current.runner.answer("a")).payload.byteLength).toBeGreaterThan(8 * MIB);
    expect(current.runner.messages.at(-1)).toEqual({ type: "exiting", exitCode: 5, inputId: "b" });
  });
});
