import fc from "fast-check";
import { expect, test } from "vitest";
import type { AgentMessage } from "./link.ts";
import { UnstoredLines } from "./unstored-lines.ts";

type LogsMessage = Extract<AgentMessage, { type: "logs" }>;

const linesFrom = (first: number, count: number, text = "x"): LogsMessage["lines"] =>
  Array.from({ length: count }, (_, at) => ({ stream: "stdout", text, sequence: first + at }));

/** A server that may be away: what reached it, each line once, by container. */
class Server {
  readonly sequences = new Map<string, number[]>();
  isThere = true;

  readonly take = ({ containerId, lines }: LogsMessage): void => {
    if (!this.isThere) return;
    const known = this.sequences.get(containerId) ?? [];
    this.sequences.set(containerId, known);
    for (const { sequence } of lines) if (sequence > (known.at(-1) ?? 0)) known.push(sequence);
  };
}

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, at) => at + 1);

test("whenever the link breaks and whatever is acknowledged, each line arrives, in order", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("print" as const), of: fc.nat(2), count: fc.nat(300) }),
    fc.record({ kind: fc.constantFrom("lose" as const, "ack" as const), of: fc.nat(2) }),
    fc.record({ kind: fc.constant("return" as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const server = new Server();
      const unstored = new UnstoredLines(server.take);
      const printed = new Map<string, number>();
      for (const one of steps) {
        if (one.kind === "print") {
          const before = printed.get(`co_${one.of}`) ?? 0;
          unstored.add(`co_${one.of}`, "fn_1", linesFrom(before + 1, one.count));
          printed.set(`co_${one.of}`, before + one.count);
        } else if (one.kind === "ack") {
          const last = server.sequences.get(`co_${one.of}`)?.at(-1);
          if (last !== undefined) unstored.stored(`co_${one.of}`, last);
        } else {
          server.isThere = one.kind === "return";
          if (server.isThere) unstored.resend();
        }
      }
      server.isThere = true;
      unstored.resend();
      for (const [containerId, count] of printed) {
        expect(server.sequences.get(containerId) ?? []).toEqual(upTo(count));
      }
    }),
  );
});

test("what is stored is sent no more", () => {
  const sent: LogsMessage[] = [];
  const unstored = new UnstoredLines((message) => sent.push(message));
  unstored.add("co_1", "fn_1", linesFrom(1, 3));
  unstored.stored("co_1", 2);
  unstored.stored("co_2", 9);
  sent.length = 0;
  unstored.resend();
  expect(sent.map(({ lines }) => lines.map(({ sequence }) => sequence))).toEqual([[3]]);
  unstored.stored("co_1", 3);
  sent.length = 0;
  unstored.resend();
  expect(sent).toEqual([]);
});

test("beyond the bound the oldest lines of the loudest go, as the numbers show", () => {
  const server = new Server();
  server.isThere = false;
  const unstored = new UnstoredLines(server.take, 100_000);
  unstored.add("co_quiet", "fn_1", linesFrom(1, 10));
  for (let line = 1; line <= 5_000; line += 1) {
    unstored.add("co_loud", "fn_1", linesFrom(line, 1, "y".repeat(400)));
  }
  server.isThere = true;
  unstored.resend();
  expect(server.sequences.get("co_quiet")).toEqual(upTo(10));
  const loud = server.sequences.get("co_loud") ?? [];
  expect(loud.at(-1)).toBe(5_000);
  expect(loud).toEqual(upTo(5_000).slice(5_000 - loud.length));
  expect(loud.length).toBeGreaterThan(150);
});
