import { beforeEach, describe, expect, test } from "vitest";
import { Output } from "./output.ts";

let wakes: number;
let inputId: string | undefined;
let output: Output;

beforeEach(() => {
  wakes = 0;
  inputId = undefined;
  output = new Output(
    () => (wakes += 1),
    () => inputId,
  );
});

const print = (text: string, stream: "stdout" | "stderr" = "stdout"): void => {
  output.write(stream, Buffer.from(text));
};

const texts = (all = false): readonly string[] =>
  (output.take(all)?.lines ?? []).map(({ text }) => text);

describe("lines", () => {
  test("leave when they are finished, whatever the writes were, and wake the sender", () => {
    print("on");
    expect(wakes).toBe(0);
    print("e\ntwo\n\nth");
    expect(wakes).toBe(1);
    expect(texts()).toEqual(["one", "two", ""]);
    print("ree\n");
    expect(texts()).toEqual(["three"]);
    expect(output.take(true)).toBeUndefined();
  });

  test("keep their streams apart, also unfinished ones", () => {
    print("o");
    print("e", "stderr");
    print("ut\n");
    print("rr\n", "stderr");
    expect(output.take(false)?.lines).toEqual([
      { stream: "stdout", text: "out" },
      { stream: "stderr", text: "err" },
    ]);
  });

  test("leave unfinished only when all is asked for", () => {
    print("prompt> ");
    expect(output.take(false)).toBeUndefined();
    expect(texts(true)).toEqual(["prompt> "]);
  });

  test("hold characters together that were written in pieces", () => {
    const bytes = Buffer.from("ü€🚢\n");
    for (const byte of bytes) output.write("stdout", Uint8Array.of(byte));
    expect(texts()).toEqual(["ü€🚢"]);
  });

  test("are cut when they are too long, and the next one is whole", () => {
    print("x".repeat(40_000));
    print("x".repeat(40_000));
    print("\nshort\n");
    expect(texts().map(({ length }) => length)).toEqual([16 * 1024, 5]);
  });
});

describe("inputs", () => {
  test("own the lines printed while they run", () => {
    print("loading\n");
    inputId = "a";
    print("working\n");
    inputId = undefined;
    print("idle\n");
    expect(output.take(false)?.lines).toEqual([
      { stream: "stdout", text: "loading" },
      { stream: "stdout", text: "working", inputId: "a" },
      { stream: "stdout", text: "idle" },
    ]);
  });

  test("own the line that they left unfinished, and the next one does not continue it", () => {
    inputId = "a";
    print("50 %");
    output.finish("a");
    inputId = "b";
    print("100 %\n");
    output.finish("b");
    expect(output.take(true)?.lines).toEqual([
      { stream: "stdout", text: "50 %", inputId: "a" },
      { stream: "stdout", text: "100 %", inputId: "b" },
    ]);
  });

  test("that run at once own their lines, however their writes are mixed", () => {
    const say = (who: string, text: string): void => {
      inputId = who;
      print(text);
    };
    say("a", "one ");
    say("b", "two ");
    say("a", "from a\nmore of a");
    say("b", "from b\n");
    output.finish("a");
    expect(output.take(false)?.lines).toEqual([
      { stream: "stdout", text: "one from a", inputId: "a" },
      { stream: "stdout", text: "two from b", inputId: "b" },
      { stream: "stdout", text: "more of a", inputId: "a" },
    ]);
  });
});

describe("floods", () => {
  test("are bounded in memory, and what is dropped is counted to the byte", () => {
    const line = `${"x".repeat(1023)}\n`;
    for (let count = 0; count < 10 * 1024; count += 1) print(line);
    const batch = output.take(true);
    const kept = batch?.lines.length ?? 0;
    expect(kept).toBeLessThan(1_100);
    expect(kept * line.length + (batch?.droppedBytes ?? 0)).toBe(10 * 1024 * 1024);
  });

  test("end when what was held has left", () => {
    for (let count = 0; count < 2_000; count += 1) print(`${"x".repeat(1023)}\n`);
    expect(output.take(false)?.droppedBytes).toBeGreaterThan(0);
    print("after\n");
    expect(output.take(false)).toEqual({
      lines: [{ stream: "stdout", text: "after" }],
      droppedBytes: 0,
    });
  });
});
