import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { addGuestProgram, GUEST_FILE } from "./guest-program.ts";
import { TestTerminal } from "./guest/test-terminal.ts";

const CTRL_C = "\u0003";
const CTRL_Z = "\u001a";
const NO_SUCH_PROGRAM = 127;
const HUNG_UP = 129;
const KILLED = 137;

let dir: string;
let guest: string;
const open: TestTerminal[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-guest-"));
  guest = join(dir, GUEST_FILE);
  expect(await addGuestProgram(dir)).toBe(true);
});

afterEach(() => {
  for (const terminal of open.splice(0)) terminal.end();
});

afterAll(async () => {
  await rm(dir, { recursive: true });
});

function terminalOf(...command: readonly string[]): TestTerminal {
  const terminal = new TestTerminal(guest, command);
  open.push(terminal);
  return terminal;
}

/** Command lines of processes that hold this text. */
function running(text: string): readonly string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        // It has just ended.
        return "";
      }
    })
    .filter((line) => line.includes(text));
}

describe("a terminal", () => {
  it("is one to the program in it, with its size, and gives its exit code", async () => {
    const terminal = terminalOf("sh");
    terminal.type("tty; stty size\r");
    await terminal.shows(/\/dev\/pts\/\d+\r\n24 80\r\n/);
    terminal.resize(50, 132);
    terminal.type("stty size; exit 7\r");
    await terminal.shows(/50 132\r\n/);
    expect(await terminal.ended).toBe(7);
  });

  it("tells the program of a new size", async () => {
    const script = "process.stdout.on('resize', () => console.log(process.stdout.columns))";
    const terminal = terminalOf(
      "node",
      "-e",
      `${script}; console.log('up'); process.stdin.resume()`,
    );
    await terminal.shows(/up/);
    terminal.resize(10, 99);
    await terminal.shows(/99\r\n/);
  });

  it("interrupts, stops and quits what is in the foreground by keys, and only that", async () => {
    const terminal = terminalOf("sh");
    terminal.type("sleep 1000\r");
    await terminal.shows(/sleep 1000\r\n/);
    await expect.poll(() => running("sleep 1000").length).toBeGreaterThan(0);
    terminal.type(CTRL_C);
    await terminal.shows(/\^C/);
    terminal.type("echo code=$?\r");
    await terminal.shows(/\ncode=130/);
    terminal.type("sleep 1001\r");
    await expect.poll(() => running("sleep 1001").length).toBeGreaterThan(0);
    terminal.type(CTRL_Z);
    await terminal.shows(/Stopped/);
    terminal.type("kill %1; echo still here\r");
    await terminal.shows(/\nstill here/);
  });

  it("gives keys as they are to a program that wants them so", async () => {
    const script =
      "process.stdin.setRawMode(true); console.log('raw'); process.stdin.once('data', (d) => { console.log('got', [...d]); process.exit(4) })";
    const terminal = terminalOf("node", "-e", script);
    await terminal.shows(/raw/);
    terminal.type(CTRL_C);
    await terminal.shows(/got \[ 3 \]/);
    expect(await terminal.ended).toBe(4);
  });

  it("can be interrupted while it shows more than anybody reads", async () => {
    const terminal = terminalOf("sh");
    terminal.look(false);
    terminal.type("yes flood\r");
    await expect.poll(() => running("yes flood").length).toBeGreaterThan(0);
    terminal.type(CTRL_C);
    await expect.poll(() => running("yes flood")).toEqual([]);
    terminal.look(true);
    terminal.type("echo calm\r");
    await terminal.shows(/\ncalm\r/);
  });

  it("shows all of what was written last, with the end right behind it", async () => {
    const terminal = terminalOf("sh", "-c", "seq 1 20000");
    expect(await terminal.ended).toBe(0);
    expect(terminal.shown.endsWith("19999\r\n20000\r\n")).toBe(true);
    expect(terminal.shown.split("\r\n")).toHaveLength(20_001);
  });

  it("keeps what it cannot pass on when the program ends, however much that is", async () => {
    for (let lineCount = 4_000; lineCount <= 64_000; lineCount += 4_000) {
      const terminal = terminalOf("sh", "-c", `seq 1 ${lineCount}`);
      terminal.look(false);
      await sleep(50);
      terminal.look(true);
      expect(await terminal.ended).toBe(0);
      expect(terminal.shown.split("\r\n")).toHaveLength(lineCount + 1);
    }
  });

  it("passes on bytes of all kinds, many at once", async () => {
    const terminal = terminalOf("sh", "-c", "stty raw -echo; echo up; head -c 100000 | sha256sum");
    await terminal.shows(/up/);
    const PIECE = 50_000;
    terminal.send("i", PIECE, 0, Buffer.alloc(PIECE, 7));
    terminal.send("i", PIECE, 0, Buffer.alloc(PIECE, 7));
    await terminal.shows(/[0-9a-f]{64} {2}-/);
  });

  it("ends everything in it when it hangs up, also what does not want to", async () => {
    const mark = `1${process.pid}`;
    const willing = terminalOf("sh");
    willing.type(`sleep ${mark}1 & echo up\r`);
    await willing.shows(/\nup/);
    willing.hangUp();
    expect(await willing.ended).toBe(HUNG_UP);
    const stubborn = terminalOf("sh", "-c", `trap '' HUP; echo up; sleep ${mark}2; sleep ${mark}3`);
    await stubborn.shows(/up/);
    stubborn.hangUp();
    expect(await stubborn.ended).toBe(KILLED);
    await expect.poll(() => running(`sleep ${mark}`)).toEqual([]);
  });

  it("says why a program cannot be started", async () => {
    const none = terminalOf("no-such-program");
    expect(await none.ended).toBe(NO_SUCH_PROGRAM);
    expect(none.errors).toMatch(/cannot start no-such-program: No such file/);
  });

  it("does nothing for frames that it does not know, nor for half a frame", async () => {
    const terminal = terminalOf("cat");
    terminal.send("?", 1, 2);
    terminal.send("s", 60_000, 0);
    terminal.type("hello\r");
    await terminal.shows(/hello\r\nhello\r\n/);
    terminal.send("i", 500, 0, Buffer.from("too short"));
    terminal.hangUp();
    expect(await terminal.ended).toBe(HUNG_UP);
  });
});

describe("the first process", () => {
  it("ends as its program does", async () => {
    const ends = async (...command: readonly string[]): Promise<number | null> =>
      new Promise((resolve) => {
        spawn(guest, ["init", ...command], { stdio: "ignore" }).once("close", resolve);
      });
    expect(await ends("sh", "-c", "exit 9")).toBe(9);
    expect(await ends("sh", "-c", "kill -KILL $$")).toBe(KILLED);
    expect(await ends("no-such-program")).toBe(NO_SUCH_PROGRAM);
  });

  it("may wait for a byte, which its program does not see, and begins nothing without one", async () => {
    const answer = async (input: string): Promise<string> => {
      const child = spawn(guest, ["await", "cat"], { stdio: ["pipe", "pipe", "inherit"] });
      let output = "";
      child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
      child.stdin.end(input);
      const [code] = (await once(child, "close")) as [number | null];
      return `${code} ${output}`;
    };
    expect(await answer("!for the program")).toBe("0 for the program");
    expect(await answer("!")).toBe("0 ");
    const child = spawn(guest, ["await", "no-such-program"], { stdio: ["pipe", "ignore", "pipe"] });
    child.stdin.end();
    expect(await once(child, "close")).toEqual([0, null]);
  });
});
