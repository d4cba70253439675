/** `flotilla shell`: a terminal in a running container. */
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { Client } from "../client/client.ts";
import { resolveConnection } from "../client/connection.ts";
import { upgradeConnection } from "../client/upgrade.ts";
import { FlotillaError, NotFoundError, UsageError } from "../errors.ts";
import {
  encodeShellData,
  encodeShellFrame,
  SHELL_PROTOCOL,
  ShellFrameDecoder,
  type ContainerSummary,
} from "../protocol/index.ts";
import { SANDBOX_FUNCTION, sandboxEndsAtMs } from "../sandbox/sandbox-link.ts";
import { AdminClient } from "./admin-client.ts";
import { lendInput, localTerminalSize, type RemoteInput } from "./local-terminal.ts";
import { printProgress, withoutControls } from "./terminal.ts";

const CONTAINER_ID = /^co_[0-9a-z]{26}$/;
const CALL_ID = /^ca_[0-9a-z]{26}$/;
const NAMES_SHOWN_MAX = 5;

/** Opens a shell, or runs a command in a terminal; its exit code becomes this command's. */
export async function openShell(target: string, command: readonly string[]): Promise<void> {
  const { containerId, app, function: name } = await containerOf(target, new Client());
  const size = localTerminalSize();
  printProgress(`In ${containerId} of ${app}/${name}`);
  const query = new URLSearchParams([
    ["rows", String(size.rows)],
    ["cols", String(size.cols)],
    ["term", process.env["TERM"] ?? "xterm-256color"],
    ...command.map((word): [string, string] => ["command", word]),
  ]);
  const path = `/v1/containers/${containerId}/shell?${query.toString()}`;
  const socket = await upgradeConnection(await resolveConnection({}), path, SHELL_PROTOCOL);
  process.exitCode = await converse(socket, containerId);
}

/** Passes on what is typed and shown; gives the exit code. */
async function converse(socket: Duplex, containerId: string): Promise<number> {
  const takeBack = lendInput(inputOf(socket), () => socket.destroy());
  const heard: Heard = { said: "" };
  try {
    await show(socket, heard);
  } catch (error) {
    heard.said = error instanceof Error ? error.message : String(error);
  } finally {
    takeBack();
  }
  const said = withoutControls(heard.said);
  if (heard.exitCode !== undefined) {
    if (said !== "") printProgress(said);
    return heard.exitCode;
  }
  const why = said === "" ? "the connection broke" : said;
  throw new FlotillaError(`the shell in ${containerId} has ended: ${why}`, {
    code: "unavailable",
    nextStep: "see `flotilla container list`, and try again",
  });
}

/** What came of a shell beside what it shows. */
interface Heard {
  /** Why nothing runs, or why it was cut off. */
  said: string;
  exitCode?: number;
}

async function show(socket: Duplex, heard: Heard): Promise<void> {
  const decoder = new ShellFrameDecoder();
  for await (const chunk of socket as AsyncIterable<Uint8Array>) {
    for (const { kind, first, data } of decoder.push(chunk)) {
      if (kind === "o" && !process.stdout.write(data)) await once(process.stdout, "drain");
      if (kind === "m") heard.said += new TextDecoder().decode(data);
      if (kind === "x") heard.exitCode = first;
    }
  }
}

function inputOf(socket: Duplex): RemoteInput {
  const send = async (bytes: Uint8Array): Promise<void> => {
    if (!socket.write(bytes)) await once(socket, "drain");
  };
  return {
    write: (bytes) => send(encodeShellData("i", bytes)),
    end: () => Promise.resolve(void socket.end()),
    resize: ({ rows, cols }) => send(encodeShellFrame("r", rows, cols)),
  };
}

/** The container that a call, a container, a function or a sandbox means. */
async function containerOf(target: string, client: Client): Promise<ContainerSummary> {
  const all = await new AdminClient(client).containers();
  const running = all.filter(({ state }) => state === "idle" || state === "busy");
  const named = CONTAINER_ID.test(target)
    ? running.filter(({ containerId }) => containerId === target)
    : CALL_ID.test(target)
      ? await containersOfCall(target, running, client)
      : containersOfFunction(target, running);
  const [first] = named;
  if (first === undefined) {
    throw new NotFoundError(
      `no container of ${target.slice(0, 100)} runs`,
      "see `flotilla container list`; call the function, or keep one with minContainers: 1",
    );
  }
  return first;
}

/** @throws UsageError when it cannot be told which of them runs the call */
async function containersOfCall(
  callId: string,
  running: readonly ContainerSummary[],
  client: Client,
): Promise<readonly ContainerSummary[]> {
  const { functionId, state } = await client.callStatus(callId);
  if (state !== "running") throw new NotFoundError(`the call ${callId} is ${state}`);
  const busy = running.filter((each) => each.functionId === functionId && each.state === "busy");
  if (busy.length <= 1) return busy;
  const ids = busy.slice(0, NAMES_SHOWN_MAX).map(({ containerId }) => containerId);
  throw new UsageError(
    `${busy.length} containers work on calls of this function: ${ids.join(", ")}`,
    "name the container",
  );
}

/** Those of `app/function`, of an app with one function, or of a sandbox; the newest first. */
function containersOfFunction(
  target: string,
  running: readonly ContainerSummary[],
): readonly ContainerSummary[] {
  const [app = "", name, ...more] = target.split("/");
  if (more.length > 0 || app === "" || name === "") {
    throw new UsageError(
      `"${target.slice(0, 100)}" is no call, container or function`,
      "write a function as app/function",
    );
  }
  const wanted = name ?? (sandboxEndsAtMs(app) === undefined ? undefined : SANDBOX_FUNCTION);
  const own = running.filter(
    (each) => each.app === app && (wanted === undefined || each.function === wanted),
  );
  const functions = [...new Set(own.map((each) => each.function))];
  if (wanted === undefined && functions.length > 1) {
    throw new UsageError(
      `several functions of ${app} run: ${functions.slice(0, NAMES_SHOWN_MAX).join(", ")}`,
      `write ${app}/${functions[0] ?? "function"}`,
    );
  }
  return own.toSorted((one, other) => other.startedAtMs - one.startedAtMs);
}
