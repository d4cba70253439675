/** `flotilla shell`: a terminal in a container, also of one whose code never lets go. */
import { request } from "node:http";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { TestTerminal } from "../../sandbox/runners/guest/test-terminal.ts";
import type { ContainerList } from "../../sdk/protocol/index.ts";
import { makeGuest } from "../support/guest.ts";
import { TestPlatform } from "../support/platform.ts";

const APP = `
import { App } from "flotilla";
const app = new App("busy");
const spec = { env: { COLOUR: "blue" }, timeoutMs: 600_000 };
export const spin = app.function(spec, () => { for (;;) Math.sqrt(2); });
export const idle = app.function({ minContainers: 1 }, () => "idle");
`;
const platform = new TestPlatform();
let guest: string;
let callId: string;

beforeAll(async () => {
  await platform.start();
  guest = await makeGuest(platform);
  platform.cli("deploy", platform.write("busy.mjs", APP));
  const spin = await platform.lookup<[], unknown>("busy", "spin");
  callId = (await spin.spawn()).callId;
  await vi.waitFor(
    async () => expect(await containers()).toMatchObject({ spin: "busy", idle: "idle" }),
    { timeout: 60_000, interval: 100 },
  );
});

afterAll(async () => {
  expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
});

async function containers(): Promise<Record<string, string>> {
  const list = await platform.get<ContainerList>("/v1/containers");
  return Object.fromEntries(list.containers.map((each) => [each.function, each.state]));
}

async function idOf(name: string): Promise<string> {
  const list = await platform.get<ContainerList>("/v1/containers");
  return list.containers.find((each) => each.function === name)?.containerId ?? "";
}

/** Does something at a terminal in which a shell is opened, and ends it. */
async function inShell(
  words: string,
  act: (terminal: TestTerminal) => Promise<void>,
): Promise<void> {
  const command = ["sh", "-c", `flotilla shell ${words}; echo code=$?`];
  const terminal = new TestTerminal(guest, command, process.env);
  try {
    await act(terminal);
  } finally {
    terminal.end();
  }
}

test("it works in a container whose code never lets go, as its user and with its variables", async () => {
  await inShell("busy/spin", async (terminal) => {
    await terminal.shows(/In co_\w+ of busy\/spin/);
    terminal.type("PS1=; tty; stty size; id -u; echo $COLOUR $TERM\r");
    await terminal.shows(/\/dev\/pts\/\d+\r+\n24 80\r+\n65534\r+\nblue \S+\r+\n/);
    terminal.type("grep -E 'Cap(Eff|Bnd)|NoNewPrivs' /proc/self/status | tr -d '\\t\\n'; echo .\r");
    await terminal.shows(/CapEff:0+CapBnd:0+(NoNewPrivs:1)?\./);
    terminal.resize(50, 132);
    terminal.type("\u0003stty size\r");
    await terminal.shows(/50 132\r+\n/);
    terminal.type("sleep 1000; echo slept=$?\r");
    await terminal.shows(/slept=\$\?\r+\n/);
    await new Promise((resolve) => setTimeout(resolve, 300));
    terminal.type("\u0003");
    await terminal.shows(/\^C/);
    terminal.type("exit 7\r");
    await terminal.shows(/code=7\r\n/);
    expect(await terminal.ended).toBe(0);
  });
});

test("a container, a call and a command are understood", async () => {
  await inShell(`${await idOf("idle")} -- sh -c 'echo $((6 * 7)); exit 3'`, async (terminal) => {
    await terminal.shows(/42\r+\n/);
    await terminal.shows(/code=3\r\n/);
  });
  await inShell(`${callId} -- cat /proc/2/cmdline`, async (terminal) => {
    await terminal.shows(/flotilla-runner/);
    await terminal.shows(/code=0\r\n/);
  });
  await inShell("busy/idle -- no-such-program", async (terminal) => {
    await terminal.shows(/cannot start no-such-program: No such file/);
    await terminal.shows(/code=127\r\n/);
  });
});

test("it says what it cannot do", async () => {
  const here = platform.tryCli("shell", "busy/spin");
  expect(here).toMatchObject({ status: 2 });
  expect(here.stderr).toMatch(/there is no terminal here/);
  const cases: readonly (readonly [words: string, says: RegExp, code: number])[] = [
    ["busy/none", /no container of busy\/none runs/, 4],
    [`co_${"0".repeat(26)}`, /no container of co_0+ runs/, 4],
    ["busy", /several functions of busy run/, 2],
    ["busy/spin/more", /is no call, container or function/, 2],
  ];
  for (const [words, says, code] of cases) {
    await inShell(words, async (terminal) => {
      await terminal.shows(says);
      await terminal.shows(new RegExp(`code=${code}\\r\\n`));
    });
  }
});

test("nobody opens one without a token that may, in their own workspace", async () => {
  const containerId = await idOf("idle");
  const readOnly = platform.cli("token", "create", "reader", "--scope", "read", "--json");
  const { secret: token } = JSON.parse(readOnly) as { readonly secret: string };
  const path = `/v1/containers/${containerId}/shell`;
  expect(await upgradeStatus(path, undefined)).toBe(401);
  expect(await upgradeStatus(path, token)).toBe(403);
  expect(await upgradeStatus(path, platform.running.token)).toBe(101);
  expect(await upgradeStatus(`${path}?rows=0`, platform.running.token)).toBe(400);
  expect(await upgradeStatus("/v1/containers/co_x/shell", platform.running.token)).toBe(404);
});

/** What an upgrade is answered with. */
async function upgradeStatus(path: string, token: string | undefined): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const headers = { connection: "upgrade", upgrade: "flotilla-shell" };
  const asked = request(platform.running.serverUrl + path, {
    headers: token === undefined ? headers : { ...headers, authorization: `Bearer ${token}` },
  });
  asked.once("upgrade", (answer, socket) => {
    socket.destroy();
    resolve(answer.statusCode);
  });
  asked.once("response", (answer) => {
    answer.resume();
    resolve(answer.statusCode);
  });
  asked.once("error", reject);
  asked.end();
  return promise;
}

test("it ends with its container, and says so; nothing of it stays when its terminal goes", async () => {
  await inShell("busy/idle", async (terminal) => {
    await terminal.shows(/In co_/);
    terminal.type("PS1=; echo up\r");
    await terminal.shows(/up\r+\n/);
    platform.cli("container", "stop", await idOf("idle"));
    await terminal.shows(/has ended: |code=137/);
  });
  const mark = `1${process.pid}77`;
  const open = new TestTerminal(guest, ["sh", "-c", "flotilla shell busy/spin"], process.env);
  await open.shows(/In co_/);
  open.type(`PS1=; sleep ${mark}\r`);
  await open.shows(new RegExp(`sleep ${mark}`));
  open.end();
  await inShell("busy/spin", async (terminal) => {
    await terminal.shows(/In co_/);
    const count = `cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'slee[p] ${mark}' | sed s/^/n=/`;
    terminal.type(`PS1=; while :; do ${count}; sleep 0.2; done\r`);
    await terminal.shows(/n=0\r+\n/);
  });
});
