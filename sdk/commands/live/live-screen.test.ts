import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { cut, isLive, openScreen, widthOf } from "./live-screen.ts";
import { TestScreen } from "./test-screen.ts";

beforeEach(() => vi.stubEnv("NO_COLOR", "1"));
afterEach(() => vi.unstubAllEnvs());

test("lines are redrawn in place, and what others print stays above them", () => {
  const screen = new TestScreen();
  screen.write("$ flotilla run\n");
  const live = openScreen({ stream: screen, around: [screen] });
  live.show(["inputs 1 of 3", "containers 1"]);
  live.show(["inputs 2 of 3", "containers 2", "machines 1"]);
  screen.write("printed by the code\n");
  expect(screen.seen).toEqual([
    "$ flotilla run",
    "printed by the code",
    "inputs 2 of 3",
    "containers 2",
    "machines 1",
  ]);
  live.show(["inputs 3 of 3"]);
  live.close();
  screen.write("the result\n");
  expect(screen.seen).toEqual(["$ flotilla run", "printed by the code", "the result"]);
});

test("a line that others have begun is not cut through", () => {
  const screen = new TestScreen();
  const live = openScreen({ stream: screen, around: [screen] });
  live.show(["working"]);
  screen.write("half of ");
  live.show(["still working"]);
  expect(screen.seen).toEqual(["half of "]);
  screen.write("a line\n");
  expect(screen.seen).toEqual(["half of a line", "still working"]);
});

test("data that goes to a pipe leaves the lines on the terminal alone", () => {
  const screen = new TestScreen();
  const piped: string[] = [];
  const pipe = { isTTY: false, write: (text: string | Uint8Array) => piped.push(String(text)) > 0 };
  const live = openScreen({ stream: screen, around: [pipe, screen] });
  live.show(["working"]);
  pipe.write("data\n");
  expect([screen.seen, piped]).toEqual([["working"], ["data\n"]]);
  live.close();
});

test("a window that was made narrower or wider keeps nothing of earlier lines", () => {
  const screen = new TestScreen(40);
  const live = openScreen({ stream: screen, around: [screen] });
  screen.write("above\n");
  live.show(["a line of thirty characters ...", "short"]);
  screen.columns = 10;
  live.show(["a line of thirty characters ...", "short"]);
  expect(screen.seen).toEqual(["above", "a line o…", "short"]);
  screen.columns = 60;
  live.show(["wide again, with all its words"]);
  expect(screen.seen).toEqual(["above", "wide again, with all its words"]);
});

test("more lines than there is room for are left out, and controls of others with them", () => {
  const screen = new TestScreen();
  screen.rows = 5;
  const live = openScreen({ stream: screen, around: [screen] });
  live.show(["1\u001b[2J", "2", "3", "4", "5", "6"]);
  expect(screen.seen).toEqual(["1", "2", "3"]);
});

test("whatever is shown, printed and resized, what was printed is there in order", () => {
  const step = fc.oneof(
    fc.record({ show: fc.array(fc.string({ maxLength: 90 }), { maxLength: 4 }) }),
    fc.record({ print: fc.stringMatching(/^[a-z]{1,9}$/) }),
    fc.record({ columns: fc.integer({ min: 12, max: 80 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const screen = new TestScreen();
      const live = openScreen({ stream: screen, around: [screen] });
      const printed: string[] = [];
      for (const each of steps) {
        if ("show" in each) live.show(each.show.map((line) => line.replaceAll(/[^ -~]/g, "")));
        else if ("columns" in each) screen.columns = each.columns;
        else {
          printed.push(each.print);
          screen.write(`${each.print}\n`);
        }
      }
      live.close();
      expect(screen.seen).toEqual(printed);
    }),
  );
});

test("nothing is redrawn in pipes, in CI and on terminals that cannot", () => {
  const terminal = new TestScreen();
  expect(isLive({ TERM: "xterm" }, terminal)).toBe(true);
  expect(isLive({ TERM: "xterm", NO_COLOR: "1" }, terminal)).toBe(true);
  expect(isLive({ TERM: "dumb" }, terminal)).toBe(false);
  expect(isLive({ TERM: "xterm", CI: "true" }, terminal)).toBe(false);
  expect(isLive({ TERM: "xterm" }, { write: terminal.write })).toBe(false);
});

test("text is cut by what a terminal takes for it", () => {
  expect(widthOf("äöü")).toBe(3);
  expect(widthOf("舟舟")).toBe(4);
  expect(widthOf("e\u0301")).toBe(1);
  expect(cut("舟舟舟舟", 6)).toBe("舟舟…");
  expect(cut("short", 6)).toBe("short");
  expect(cut("nothing fits", 0)).toBe("");
});
