import { PassThrough } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { encodeShellData, encodeShellFrame, ShellFrameDecoder } from "../../sdk/protocol/index.ts";
import type { Piece } from "../streams/piece.ts";
import { ContainerShells } from "./container-shells.ts";

const NOTHING = new Uint8Array(0);

class FakeProgram {
  readonly stdin = new PassThrough();
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  readonly end: (exitCode: number) => void;
  readonly exited: Promise<number>;
  readonly command: readonly string[];

  constructor(command: readonly string[]) {
    this.command = command;
    const { promise, resolve } = Promise.withResolvers<number>();
    this.exited = promise;
    this.end = (exitCode) => {
      this.stdout.end();
      this.stderr.end();
      resolve(exitCode);
    };
  }

  kill(): void {
    this.end(137);
  }
}

function opened(isRunning = true) {
  const programs: FakeProgram[] = [];
  const sent: { readonly streamId: string; readonly piece: Piece; readonly body: Uint8Array }[] =
    [];
  const attach = (command: readonly string[]): FakeProgram => {
    const program = new FakeProgram(command);
    programs.push(program);
    return program;
  };
  const shells = new ContainerShells({
    sandbox: () => (isRunning ? { attach } : undefined),
    environment: () => ({ COLOUR: "blue", HUGE: "x".repeat(70_000) }),
    send: (streamId, piece, body) => sent.push({ streamId, piece, body }),
    note: () => undefined,
  });
  const open = (streamId: string): void =>
    shells.open({ streamId, command: ["top"], rows: 24, cols: 80, term: "vt100" });
  return { shells, programs, sent, open };
}

async function settled(): Promise<void> {
  for (let turns = 0; turns < 20; turns += 1) await turn();
}

const resets = (sent: readonly { readonly piece: Piece }[]): readonly string[] =>
  sent.flatMap(({ piece }) => (piece.kind === "reset" ? [piece.message] : []));

test("a program gets its variables and size first, then what is typed, and is told of", async () => {
  const { shells, programs, sent, open } = opened();
  open("sh_1");
  expect(shells.hear("sh_1", { kind: "data" }, encodeShellData("i", Buffer.from("q")))).toBe(true);
  await settled();
  const [program] = programs;
  expect(program?.command).toEqual(["top"]);
  const expected = [
    encodeShellData("e", Buffer.from("COLOUR=blue")),
    encodeShellData("e", Buffer.from("TERM=vt100")),
    encodeShellFrame("g", 24, 80),
    encodeShellData("i", Buffer.from("q")),
  ];
  expect(program?.stdin.read()).toEqual(Buffer.concat(expected));
  program?.stdout.write("shown");
  program?.stderr.write("why\n");
  await settled();
  program?.end(7);
  await settled();
  const bytes = Buffer.concat(sent.map(({ body }) => body));
  const frames = new ShellFrameDecoder().push(bytes);
  expect(frames.map(({ kind, data }) => kind + Buffer.from(data).toString())).toEqual([
    "oshown",
    "mwhy",
    "x",
  ]);
  expect(frames.at(-1)?.first).toBe(7);
});

test("its terminal's end is the end of its input, and the server's too", async () => {
  const { shells, programs, open } = opened();
  open("sh_1");
  open("sh_2");
  shells.hear("sh_1", { kind: "reset", message: "gone" }, NOTHING);
  await settled();
  expect(programs.map(({ stdin }) => stdin.writable)).toEqual([false, true]);
  shells.close("the connection to the server broke");
  await settled();
  expect(programs.map(({ stdin }) => stdin.writable)).toEqual([false, false]);
  expect(shells.hear("sh_1", { kind: "data" }, NOTHING)).toBe(false);
});

test("where none can be opened, and of too many, the reason is told", async () => {
  const none = opened(false);
  none.open("sh_1");
  await settled();
  expect(resets(none.sent).join()).toMatch(/no C compiler/);
  const many = opened();
  for (let count = 0; count < 17; count += 1) many.open(`sh_${count}`);
  many.open("sh_0");
  await settled();
  expect(many.programs).toHaveLength(16);
  expect(resets(many.sent)).toEqual(["the container has 16 shells already"]);
  expect(many.shells.hear("in_1", { kind: "end" }, NOTHING)).toBe(false);
});
