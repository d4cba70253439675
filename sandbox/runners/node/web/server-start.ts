/** HTTP servers in a container: started, and awaited. */
import { once } from "node:events";
import { spawn } from "node:child_process";
import { connect } from "node:net";

/** Where a server in a container listens; containers have no other address. */
export const SERVER_HOST = "127.0.0.1";
const RETRY_MS = 25;

/**
 * Resolves when something listens on the port; starts the program that does, where there is one.
 * That program ends the container with itself, since nobody else would answer.
 *
 * @throws Error when the program cannot be started, or ends before it listens.
 */
export async function startServer({
  port,
  command,
}: {
  readonly port: number;
  readonly command?: readonly string[];
}): Promise<void> {
  const waiting = new AbortController();
  const open = portIsOpen(port, waiting.signal);
  try {
    await (command === undefined ? open : Promise.race([open, endOf(command, waiting.signal)]));
  } finally {
    waiting.abort();
  }
}

/** Runs a program; rejects when it ends while `starting` lasts, and ends this process later. */
async function endOf(command: readonly string[], starting: AbortSignal): Promise<never> {
  const [program = "", ...rest] = command;
  const child = spawn(program, rest, { stdio: ["ignore", "inherit", "inherit"] });
  return new Promise((_resolve, reject) => {
    child.once("error", (error) => reject(new Error(`cannot run ${program}: ${error.message}`)));
    child.once("exit", (code, signal) => {
      const how = signal === null ? `with code ${code}` : `by ${signal}`;
      if (starting.aborted) process.exit(code ?? 1);
      else reject(new Error(`${program} ended ${how} before it listened on its port`));
    });
  });
}

async function portIsOpen(port: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !(await canConnect(port))) {
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

async function canConnect(port: number): Promise<boolean> {
  const socket = connect(port, SERVER_HOST);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    // Nobody listens yet.
    return false;
  } finally {
    socket.destroy();
  }
}
