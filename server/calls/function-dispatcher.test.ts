import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRng } from "../../core/index.ts";
import type { ContainerEnd } from "./dispatcher-port.ts";
import { ATTEMPTS_MAX, RANGE_INPUTS_MAX } from "./function-dispatcher.ts";
import { inputIdOf, type LocalInput } from "./input.ts";
import { Bench, CALL, settled } from "./test-dispatcher.ts";

const ENDS = ["stopped", "lost", "died"] as const satisfies readonly ContainerEnd[];

describe("a function's dispatcher", () => {
  it("takes nothing from the queue while no container is ready", async () => {
    const bench = new Bench();
    await bench.dispatcher.enqueue(CALL, 0, 5);
    await settled();
    expect(bench.queue.waiting).toHaveLength(1);
    expect(bench.sent).toHaveLength(0);
  });

  it("cuts long calls into ranges", async () => {
    const bench = new Bench();
    await bench.dispatcher.enqueue(CALL, 0, 2 * RANGE_INPUTS_MAX + 1);
    expect(bench.queue.waiting.map(({ from, to }) => to - from)).toEqual([
      RANGE_INPUTS_MAX,
      RANGE_INPUTS_MAX,
      1,
    ]);
  });

  it("gives a container one input until it knows how long they take, then handfuls", async () => {
    const bench = new Bench();
    await bench.dispatcher.enqueue(CALL, 0, 100);
    bench.dispatcher.containerReady("co_a");
    await settled();
    const first = bench.takeSent().get("co_a") ?? [];
    expect(first).toHaveLength(1);
    await bench.answer("co_a", first);
    expect(bench.takeSent().get("co_a")).toHaveLength(99);
  });

  it("gives a container that runs several at once as many as that before it knows", async () => {
    const bench = new Bench({ target: 2, max: 4 });
    await bench.dispatcher.enqueue(CALL, 0, 5);
    bench.dispatcher.containerReady("co_a");
    await settled();
    expect(bench.takeSent().get("co_a")).toHaveLength(4);
    bench.dispatcher.containerReady("co_b");
    await settled();
    expect(bench.takeSent().get("co_b")).toHaveLength(1);
  });

  it("gives a container of single use one input in its life, however fast inputs run", async () => {
    const bench = new Bench({ target: 1, max: 1, isSingleUse: true });
    await bench.dispatcher.enqueue(CALL, 0, 5);
    bench.dispatcher.containerReady("co_a");
    await settled();
    const first = bench.takeSent().get("co_a") ?? [];
    expect(first).toHaveLength(1);
    await bench.answer("co_a", first);
    bench.dispatcher.containerStays("co_a");
    expect(bench.takeSent().size).toBe(0);
    bench.dispatcher.containerReady("co_b");
    await settled();
    const second = bench.takeSent().get("co_b") ?? [];
    expect(second).toHaveLength(1);
    // Its agent was away, and comes back with it.
    bench.dispatcher.containerHolds("co_b", second);
    await settled();
    expect(bench.takeSent().size).toBe(0);
    bench.dispatcher.containerGone("co_b", "stopped");
    bench.dispatcher.containerReady("co_c");
    await settled();
    expect(bench.takeSent().get("co_c")).toEqual(second);
  });

  it("leaves containers idle while others have not reached their target", async () => {
    const bench = new Bench({ target: 3, max: 4 });
    for (const containerId of ["co_a", "co_b"]) bench.dispatcher.containerReady(containerId);
    for (let index = 0; index < 4; index += 1) {
      await bench.dispatcher.enqueue(CALL, index, index + 1);
      await settled();
    }
    const sent = bench.takeSent();
    expect(sent.get("co_a")).toHaveLength(3);
    expect(sent.get("co_b")).toHaveLength(1);
  });

  it("gives a container that runs long ones no more than run at once", async () => {
    const bench = new Bench({ target: 4, max: 4 });
    await bench.dispatcher.enqueue(CALL, 0, 100);
    bench.dispatcher.containerReady("co_a");
    await settled();
    const [one, ...long] = bench.takeSent().get("co_a") ?? [];
    bench.nowMs = 1_000;
    await bench.answer("co_a", one === undefined ? [] : [one]);
    const more = bench.takeSent().get("co_a") ?? [];
    expect(more.length).toBeGreaterThan(4);
    bench.nowMs = 2_000;
    bench.dispatcher.containerReady("co_b");
    await settled();
    bench.dispatcher.pump();
    const running = [...long, ...more].slice(0, 4).map(inputIdOf);
    for (const { inputIds } of bench.takenBack) {
      for (const inputId of running) expect(inputIds).not.toContain(inputId);
    }
  });

  it.each(["returned", ...ENDS] as const)(
    "hands out no input of a cancelled call again: %s",
    async (end) => {
      const bench = new Bench();
      await bench.dispatcher.enqueue(CALL, 0, 3);
      bench.dispatcher.containerReady("co_a");
      await settled();
      const sent = bench.takeSent().get("co_a") ?? [];
      expect(sent).toHaveLength(1);
      bench.dispatcher.cancelCall(CALL);
      expect(bench.takenBack).toEqual([{ containerId: "co_a", inputIds: sent.map(inputIdOf) }]);
      if (end === "returned") await bench.answer("co_a", sent, "returned");
      else bench.dispatcher.containerGone("co_a", end);
      bench.dispatcher.containerReady("co_b");
      await settled();
      expect(bench.takeSent().size).toBe(0);
      expect(bench.dispatcher.heldCount).toBe(0);
      expect(bench.queue.waiting).toEqual([]);
    },
  );

  it("runs the inputs of a dead container again", async () => {
    const bench = new Bench();
    await bench.dispatcher.enqueue(CALL, 0, 1);
    bench.dispatcher.containerReady("co_a");
    await settled();
    bench.takeSent();
    bench.dispatcher.containerGone("co_a", "lost");
    bench.dispatcher.containerReady("co_b");
    await settled();
    const again = bench.takeSent().get("co_b") ?? [];
    expect(again.map(inputIdOf)).toEqual([`${CALL}.0`]);
    await bench.answer("co_b", again);
    expect(bench.results.size).toBe(1);
    expect(bench.queue.held.size).toBe(0);
  });

  it("runs inputs that shared a dying container alone, one container each", async () => {
    const bench = new Bench();
    await bench.dispatcher.enqueue(CALL, 0, 20);
    bench.dispatcher.containerReady("co_a");
    await settled();
    await bench.answer("co_a", bench.takeSent().get("co_a") ?? []);
    const together = bench.takeSent().get("co_a") ?? [];
    expect(together).toHaveLength(19);
    bench.dispatcher.containerGone("co_a", "died");
    bench.dispatcher.containerReady("co_b");
    await settled();
    for (let left = 19; left > 0; left -= 1) {
      const alone = bench.takeSent().get("co_b") ?? [];
      expect(alone).toHaveLength(1);
      await bench.answer("co_b", alone);
    }
    expect(bench.results.size).toBe(20);
  });

  it("fails an input that was lost too often, and says so", async () => {
    const bench = new Bench();
    await bench.dispatcher.enqueue(CALL, 0, 1);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      bench.dispatcher.containerReady(`co_${attempt}`);
      await settled();
      bench.dispatcher.containerGone(`co_${attempt}`, "lost");
    }
    await settled();
    expect(bench.results.get(0)?.error?.code).toBe("attempts_exhausted");
    expect(bench.queue.held.size).toBe(0);
  });

  it("holds no attempt against an input whose container the platform ended", async () => {
    const bench = new Bench();
    await bench.dispatcher.enqueue(CALL, 0, 1);
    for (let attempt = 0; attempt < 3 * ATTEMPTS_MAX; attempt += 1) {
      bench.dispatcher.containerReady(`co_${attempt}`);
      await settled();
      bench.dispatcher.containerGone(`co_${attempt}`, "stopped");
    }
    bench.dispatcher.containerReady("co_last");
    await settled();
    bench.takeSent();
    expect(bench.results.size).toBe(0);
    expect(bench.excused).toHaveLength(3 * ATTEMPTS_MAX);
    expect(bench.excused[0]).toBe("co_0/0");
    const [input] = [...bench.queue.held.values()];
    expect(input).toMatchObject({ callId: CALL, from: 0 });
    // One that the platform did not end still counts, as often as is allowed.
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      bench.dispatcher.containerGone(attempt === 0 ? "co_last" : `co_more_${attempt}`, "lost");
      bench.dispatcher.containerReady(`co_more_${attempt + 1}`);
      await settled();
    }
    expect(bench.results.get(0)?.error?.code).toBe("attempts_exhausted");
  });

  it("gives a range back whose inputs could not be read, and takes it again", async () => {
    const bench = new Bench();
    bench.failingLoads = 1;
    await bench.dispatcher.enqueue(CALL, 0, 3);
    bench.dispatcher.containerReady("co_a");
    await settled();
    expect(bench.errors).toHaveLength(1);
    expect(bench.queue.held.size).toBe(0);
    expect(bench.queue.waiting).toHaveLength(1);
    bench.nowMs += 1_000;
    bench.dispatcher.pump();
    await settled();
    expect(bench.takeSent().get("co_a")).toHaveLength(1);
  });

  it("gives a single input back that was handed straight over and could not be read", async () => {
    const bench = new Bench();
    bench.dispatcher.containerReady("co_a");
    await settled();
    bench.failingLoads = 1;
    await expect(bench.dispatcher.enqueue(CALL, 0, 1)).rejects.toThrow("the ledger is away");
    expect(bench.queue.held.size).toBe(0);
    bench.nowMs += 1_000;
    bench.dispatcher.pump();
    await settled();
    expect(bench.takeSent().get("co_a")).toHaveLength(1);
  });

  it("hands out again what was on its way when the link broke, and only that", async () => {
    const bench = new Bench({ target: 3, max: 3 });
    await bench.dispatcher.enqueue(CALL, 0, 4);
    bench.dispatcher.containerReady("co_a");
    await settled();
    const sent = bench.takeSent().get("co_a") ?? [];
    bench.dispatcher.containerCutOff("co_a");
    // It has the first one, and got nothing of the rest.
    bench.dispatcher.containerHolds("co_a", sent.slice(0, 1));
    await settled();
    const again = bench.takeSent().get("co_a") ?? [];
    expect(again.map(inputIdOf)).toEqual(sent.slice(1).map(inputIdOf));
    expect(bench.excused).toEqual(sent.slice(1).map(({ index }) => `co_a/${index}`));
    // What is sent after it is back is on a link that works.
    bench.dispatcher.containerHolds("co_a", sent.slice(0, 1));
    await settled();
    expect(bench.takeSent().size).toBe(0);
  });

  it("takes back what waits behind a long input when another container is idle", async () => {
    const bench = new Bench();
    await bench.dispatcher.enqueue(CALL, 0, 10);
    bench.dispatcher.containerReady("co_a");
    await settled();
    await bench.answer("co_a", bench.takeSent().get("co_a") ?? []);
    const held = bench.takeSent().get("co_a") ?? [];
    bench.nowMs = 1_000;
    bench.dispatcher.containerReady("co_b");
    await settled();
    expect(bench.takenBack).toEqual([
      { containerId: "co_a", inputIds: held.slice(1).map(inputIdOf) },
    ]);
    await bench.answer("co_a", held.slice(1), "returned");
    expect(bench.takeSent().get("co_b")).toHaveLength(held.length - 1);
  });

  it("fails everything that waits when the function cannot start", async () => {
    const bench = new Bench();
    await bench.dispatcher.enqueue(CALL, 0, 3);
    await bench.dispatcher.failWaiting({ name: "SyntaxError", message: "no" });
    await settled();
    expect([...bench.results.values()].map(({ outcome }) => outcome)).toEqual(
      Array.from({ length: 3 }, () => "failed"),
    );
    expect(await bench.queue.depth()).toBe(0);
  });

  it("hands a single input straight to a container that has nothing to do", async () => {
    const bench = new Bench();
    bench.dispatcher.containerReady("co_a");
    await settled();
    const asked = bench.queue.asked;
    await bench.dispatcher.enqueue(CALL, 0, 1);
    const sent = bench.takeSent().get("co_a") ?? [];
    expect(sent).toHaveLength(1);
    expect(bench.queue.asked).toBe(asked);
    expect([...bench.queue.held.values()]).toEqual([{ callId: CALL, from: 0, to: 1 }]);
    // The container is busy now: the next one waits its turn in the queue.
    await bench.dispatcher.enqueue(CALL, 1, 2);
    expect(bench.queue.held.size + bench.queue.waiting.length).toBe(2);
    await bench.answer("co_a", sent);
    expect(bench.results.size).toBe(1);
    expect([...bench.queue.held.values()].map(({ from }) => from)).not.toContain(0);
  });

  it("gives an input that was handed straight over back to the queue when it closes", async () => {
    const bench = new Bench();
    bench.dispatcher.containerReady("co_a");
    await settled();
    await bench.dispatcher.enqueue(CALL, 0, 1);
    await bench.dispatcher.close();
    expect(bench.queue.held.size).toBe(0);
    expect(bench.queue.waiting).toHaveLength(1);
  });

  it("asks an empty queue again only when it put something in, or after a while", async () => {
    const bench = new Bench();
    bench.dispatcher.containerReady("co_a");
    await settled();
    expect(bench.queue.asked).toBe(1);
    bench.dispatcher.pump();
    await settled();
    expect(bench.queue.asked).toBe(1);
    await bench.dispatcher.enqueue(CALL, 0, 1);
    await settled();
    const sent = bench.takeSent().get("co_a") ?? [];
    expect(sent).toHaveLength(1);
    await bench.answer("co_a", sent);
    // Another server's inputs are found by asking.
    bench.queue.waiting.push({ callId: CALL, from: 1, to: 2, addedAtMs: bench.nowMs });
    bench.dispatcher.pump();
    await settled();
    expect(bench.takeSent().size).toBe(0);
    bench.nowMs += 250;
    bench.dispatcher.pump();
    await settled();
    expect(bench.takeSent().get("co_a")).toHaveLength(1);
  });

  it("lets a draining container finish what it began, and gives it nothing more until it stays", async () => {
    const bench = new Bench();
    await bench.dispatcher.enqueue(CALL, 0, 3);
    bench.dispatcher.containerReady("co_a");
    await settled();
    const [first] = bench.takeSent().get("co_a") ?? [];
    if (first === undefined) throw new Error("one input was sent");
    bench.dispatcher.containerDrains("co_a");
    expect(bench.takenBack).toEqual([{ containerId: "co_a", inputIds: [inputIdOf(first)] }]);
    // Long enough that a container is handed one input at a time.
    await bench.answer("co_a", [first], "succeeded", 1_000);
    await bench.dispatcher.enqueue(CALL, 3, 4);
    bench.dispatcher.pump();
    await settled();
    expect(bench.takeSent().size).toBe(0);
    bench.dispatcher.containerReady("co_b");
    await settled();
    expect([...bench.takeSent().keys()]).toEqual(["co_b"]);
    bench.dispatcher.containerStays("co_a");
    await settled();
    expect([...bench.takeSent().keys()]).toEqual(["co_a"]);
  });

  it("gives back what is unfinished when it closes", async () => {
    const bench = new Bench();
    await bench.dispatcher.enqueue(CALL, 0, 3);
    bench.dispatcher.containerReady("co_a");
    await settled();
    await bench.dispatcher.close();
    expect(bench.queue.held.size).toBe(0);
    expect(bench.queue.waiting).toHaveLength(1);
  });

  it("ends every input with one result under any order of starts, deaths and answers", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.integer({ min: 1, max: 450 }), async (seed, inputs) => {
        const bench = new Bench();
        const rng = createRng(seed);
        await bench.dispatcher.enqueue(CALL, 0, inputs);
        const inside = new Map<string, LocalInput[]>();
        let born = 0;
        for (let step = 0; step < 4_000 && bench.results.size < inputs; step += 1) {
          bench.nowMs += rng.below(300);
          const deaths = step < 60 ? 0.2 : 0;
          if (inside.size < 3) {
            born += 1;
            inside.set(`co_${born}`, []);
            bench.dispatcher.containerReady(`co_${born}`);
          }
          await settled();
          for (const [containerId, sent] of bench.takeSent()) {
            inside.get(containerId)?.push(...sent);
          }
          const [containerId, held] = [...inside][rng.below(inside.size)] ?? ["", []];
          if (rng.next() < deaths) {
            inside.delete(containerId);
            bench.dispatcher.containerGone(containerId, ENDS[rng.below(ENDS.length)] ?? "died");
          } else {
            const outcome = rng.next() < 0.1 ? "returned" : "succeeded";
            await bench.answer(containerId, held.splice(0, 1 + rng.below(50)), outcome);
          }
          bench.dispatcher.pump();
        }
        expect(bench.results.size).toBe(inputs);
        expect(bench.dispatcher.heldCount).toBe(0);
        expect(await bench.queue.depth()).toBe(0);
      }),
      { numRuns: 40 },
    );
  });
});
