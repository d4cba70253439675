import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { gatherer } from "./batched.ts";
import { CONTAINER_KEY } from "./current-input.ts";
import { App } from "./index.ts";

const container = globalThis as { [CONTAINER_KEY]?: object | undefined };

/** A promise, and what it became once it is settled. */
async function outcomeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return String(error);
  }
}

describe("a batch", () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => {
    container[CONTAINER_KEY] = undefined;
    vi.useRealTimers();
  });

  /** What each batch was given; the code answers with what `answer` makes of it. */
  const recording = (
    answer: (xs: number[]) => unknown = (xs) => xs.map((x) => 10 * x),
  ): { batches: unknown[][][]; code: (...lists: unknown[][]) => unknown } => {
    const batches: unknown[][][] = [];
    const code = (...lists: unknown[][]): unknown => {
      batches.push(lists);
      return answer(lists[0] as number[]);
    };
    return { batches, code };
  };

  /** Calls `run` as an input that can be cancelled. */
  const asInput = (
    run: () => Promise<unknown>,
  ): { cancel: () => void; outcome: Promise<unknown> } => {
    const controller = new AbortController();
    const input = { inputId: "ca_1.0", signal: controller.signal };
    container[CONTAINER_KEY] = { currentInput: () => input };
    const outcome = outcomeOf(run());
    container[CONTAINER_KEY] = undefined;
    return { cancel: () => controller.abort(new Error("cancelled")), outcome };
  };

  it("begins when it is full, without waiting, and gives each input its own result", async () => {
    const { batches, code } = recording();
    const run = gatherer(code, { maxBatchSize: 3, waitMs: 60_000 });
    expect(await Promise.all([run(1), run(2), run(3)])).toEqual([10, 20, 30]);
    expect(batches).toEqual([[[1, 2, 3]]]);
  });

  it("begins with fewer once the first of them has waited, and not before", async () => {
    const { batches, code } = recording();
    const run = gatherer(code, { maxBatchSize: 3, waitMs: 1_000 });
    const first = run(1);
    await vi.advanceTimersByTimeAsync(600);
    const second = run(2);
    await vi.advanceTimersByTimeAsync(399);
    expect(batches).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(await Promise.all([first, second])).toEqual([10, 20]);
    expect(batches).toEqual([[[1, 2]]]);
  });

  it("leaves what is too much to the next, which begins only when it has ended", async () => {
    const gate = Promise.withResolvers<number[]>();
    const answers = [gate.promise, [30]];
    const { batches, code } = recording(() => answers[batches.length - 1]);
    const run = gatherer(code, { maxBatchSize: 2, waitMs: 10 });
    const all = Promise.all([run(1), run(2), run(3)]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(batches).toEqual([[[1, 2]]]);
    gate.resolve([10, 20]);
    // The third has waited longer than it must already.
    await vi.advanceTimersByTimeAsync(1);
    expect(await all).toEqual([10, 20, 30]);
    expect(batches).toEqual([[[1, 2]], [[3]]]);
  });

  it("has a list for each argument, with a gap where an input has none", async () => {
    const { batches, code } = recording((xs) => xs);
    const run = gatherer(code, { maxBatchSize: 2, waitMs: 10 });
    await Promise.all([run("a", 1), run("b")]);
    expect(batches).toEqual([
      [
        ["a", "b"],
        [1, undefined],
      ],
    ]);
  });

  it("fails all its inputs when the code throws, and goes on with the next", async () => {
    const { code } = recording((xs) => {
      if (xs.includes(13)) throw new RangeError("unlucky");
      return xs;
    });
    const run = gatherer(code, { maxBatchSize: 2, waitMs: 10 });
    const failed = [outcomeOf(run(13)), outcomeOf(run(1))];
    expect(await Promise.all(failed)).toEqual(["RangeError: unlucky", "RangeError: unlucky"]);
    expect(await Promise.all([run(1), run(2)])).toEqual([1, 2]);
  });

  it("fails one input where its element is an error", async () => {
    const { code } = recording((xs) => xs.map((x) => (x < 0 ? new RangeError(`${x}`) : x)));
    const run = gatherer(code, { maxBatchSize: 3, waitMs: 10 });
    const outcomes = [run(1), run(-2), run(3)].map(outcomeOf);
    expect(await Promise.all(outcomes)).toEqual([1, "RangeError: -2", 3]);
  });

  it.each<[string, unknown, RegExp]>([
    ["too short a list", [1], /was given 2 inputs and returned 1 results/],
    ["too long a list", [1, 2, 3], /was given 2 inputs and returned 3 results/],
    ["a number", 7, /each of its 2 inputs, and this one returned a value of type number/],
    ["nothing", undefined, /type undefined/],
    ["null", null, /returned null/],
    ["bytes", new Uint8Array(2), /type object/],
  ])("fails all its inputs when the code gives %s", async (_, given, message) => {
    const run = gatherer(() => given, { maxBatchSize: 2, waitMs: 10 });
    const outcomes = await Promise.all([outcomeOf(run(1)), outcomeOf(run(2))]);
    for (const outcome of outcomes) expect(outcome).toMatch(message);
  });

  it("leaves out an input that was cancelled before it began, and counts the others alone", async () => {
    const { batches, code } = recording();
    const run = gatherer(code, { maxBatchSize: 2, waitMs: 1_000 });
    const gone = asInput(async () => run(1));
    await vi.advanceTimersByTimeAsync(1);
    gone.cancel();
    expect(await gone.outcome).toBe("Error: cancelled");
    expect(await Promise.all([run(2), run(3)])).toEqual([20, 30]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(batches).toEqual([[[2, 3]]]);
  });

  it("lets go of a cancelled input while others want its result, and of the last one never", async () => {
    const gate = Promise.withResolvers<number[]>();
    const run = gatherer(() => gate.promise, { maxBatchSize: 2, waitMs: 10 });
    const [first, last] = [asInput(async () => run(1)), asInput(async () => run(2))];
    await vi.advanceTimersByTimeAsync(1);
    first.cancel();
    expect(await first.outcome).toBe("Error: cancelled");
    let isLetGo = false;
    void last.outcome.then(() => (isLetGo = true));
    last.cancel();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(isLetGo).toBe(false);
    gate.resolve([1, 2]);
    expect(await last.outcome).toBe(2);
  });

  it("does not begin what was cancelled before it came", async () => {
    const { batches, code } = recording();
    const run = gatherer(code, { maxBatchSize: 1, waitMs: 0 });
    container[CONTAINER_KEY] = {
      currentInput: () => ({ inputId: "ca_1.0", signal: AbortSignal.abort(new Error("late")) }),
    };
    expect(await outcomeOf(run(1))).toBe("Error: late");
    expect(batches).toEqual([]);
  });
});

describe("app.function", () => {
  const app = new App("batches");
  const batched = { maxBatchSize: 4, waitMs: 10 };

  it("gives a batched function a local of single values", async () => {
    const half = app.function({ batched }, (xs: number[]) =>
      xs.map((x) => (x % 2 === 0 ? x / 2 : new RangeError(`${x} is odd`))),
    );
    expect(await half.local(8)).toBe(4);
    await expect(half.local(7)).rejects.toThrow("7 is odd");
  });

  it.each<[string, () => unknown, RegExp]>([
    [
      "of Python",
      () => app.function({ runtime: "python", source: "m.py", handler: "f", batched } as never),
      /a Python function cannot be batched/,
    ],
    ["with a URL", () => app.webEndpoint({ batched } as never, () => "x"), /with a URL/],
    [
      "that is a class",
      () =>
        app.cls(
          { batched } as never,
          class {
            run(): string {
              return "x";
            }
          },
        ),
      /a class has no batched/,
    ],
  ])("refuses one %s", (_, define, message) => {
    expect(define).toThrow(message);
  });
});
