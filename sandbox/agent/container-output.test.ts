import { describe, expect, test } from "vitest";
import { settled } from "../fake/clock.ts";
import { TestContainer } from "./test-container.ts";

describe("output", () => {
  test("lines from the runner keep the input that printed them, while it is here", async () => {
    const one = new TestContainer();
    await one.startWith("a");
    const lines = ["a", "somebody-elses.0"].map((inputId) => {
      return { stream: "stdout", text: `of ${inputId}`, inputId } as const;
    });
    one.sandbox.say({ type: "logs", lines, droppedBytes: 0 });
    await settled();
    expect(one.reported.lines).toEqual([
      { stream: "stdout", text: "of a", inputId: "a", sequence: 1 },
      { stream: "stdout", text: "of somebody-elses.0", sequence: 2 },
    ]);
  });

  test("what is printed past the runner becomes lines too, also without a last line end", async () => {
    const one = new TestContainer();
    await one.startWith("a");
    one.sandbox.stdout.write("one\r\ntwo\nthr");
    one.sandbox.stdout.end("ee");
    one.sandbox.stderr.write("oh\n");
    await settled();
    one.sandbox.end({ exitCode: 0 });
    await one.running;
    const texts = one.reported.lines.map(({ stream, text }) => `${stream} ${text}`).sort();
    expect(texts).toEqual(["stderr oh", "stdout one", "stdout three", "stdout two"]);
    const sequences = one.reported.lines.map(({ sequence }) => sequence);
    expect(sequences).toEqual([1, 2, 3, 4]);
  });

  test("an endless line past the runner is cut and not hoarded", async () => {
    const one = new TestContainer();
    await one.startWith("a");
    for (let chunk = 0; chunk < 64; chunk += 1) one.sandbox.stdout.write("x".repeat(64 * 1024));
    one.sandbox.stdout.end("\n");
    await settled();
    one.sandbox.end({ exitCode: 0 });
    await one.running;
    expect(one.reported.lines.map(({ text }) => text.length)).toEqual([16 * 1024]);
  });

  test("output that cannot be read any more harms nothing", async () => {
    const one = new TestContainer();
    await one.startWith("a");
    for (const stream of [one.sandbox.stdout, one.sandbox.stderr, one.sandbox.channel]) {
      stream.destroy(new Error("read ECONNRESET"));
    }
    await settled();
    one.sandbox.end({ exitCode: 1 });
    await one.running;
    expect(one.reported.exits).toMatchObject([{ kind: "exited" }]);
  });

  test("Node's last words without heap, however many follow, make it out of memory", async () => {
    const one = new TestContainer();
    await one.startWith("a");
    one.sandbox.stderr.write("FATAL ERROR: Allocation failed - JavaScript heap out of memory\n");
    one.sandbox.stderr.write("----- Native stack trace -----\n 1: 0x931db0  [/bin/node]\n");
    await settled();
    one.sandbox.end({ signal: "SIGABRT" });
    await one.running;
    expect(one.reported.exits).toMatchObject([{ kind: "out_of_memory" }]);
    expect(one.reported.results).toMatchObject([{ error: { code: "out_of_memory" } }]);
  });

  test("a container that dies while starting is told with its last words", async () => {
    const one = new TestContainer();
    await one.start();
    one.sandbox.stderr.write("node: bad option: --frobnicate\n\n");
    await settled();
    one.sandbox.end({ exitCode: 9 });
    await one.running;
    expect(one.reported.exits[0]?.message).toMatch(/exit code 9 before .*: node: bad option/);
  });
});
