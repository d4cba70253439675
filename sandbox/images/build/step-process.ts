/**
 * The process around one build step: first of its own PID, mount and network namespaces.
 *
 * It lays the layers before the step over each other, opens a relay to the build's proxy on the
 * loopback of its own network, and runs the step under gVisor there. The kernel undoes all of it
 * when this process ends, which it does when its standard input ends: so nothing stays behind,
 * whoever is killed. Its settings come as JSON in the last argument.
 */
import { spawn, spawnSync } from "node:child_process";
import { connect, createServer } from "node:net";
import { mountLayers, type LayerMount } from "./mount-layers.ts";

/** What the process is told. */
export interface StepProcessSettings {
  /** Absent: the bundle's root is a plain folder. */
  readonly mount?: LayerMount;
  readonly runsc: string;
  /** Arguments of runsc up to the end. */
  readonly runscArguments: readonly string[];
  /** The build's proxy, when the step has network. */
  readonly proxySocket?: string;
}

/** Where the step finds its proxy. */
export const RELAY_PORT = 3128;
/** Exit codes of this process itself; a step's own codes end at 255 and cannot be told apart. */
const CANNOT_PREPARE = 111;

if (import.meta.main) await main();

async function main(): Promise<void> {
  const settings = JSON.parse(process.argv.at(-1) ?? "{}") as StepProcessSettings;
  process.stdin.on("end", () => process.exit(CANNOT_PREPARE)).resume();
  try {
    if (settings.mount !== undefined) mountLayers(settings.mount);
    raiseLoopback();
    if (settings.proxySocket !== undefined) await relay(settings.proxySocket);
  } catch (error) {
    process.stderr.write(`cannot prepare the build step: ${String(error)}\n`);
    process.exit(CANNOT_PREPARE);
  }
  const child = spawn(settings.runsc, settings.runscArguments, {
    stdio: ["ignore", "inherit", "inherit"],
  });
  child.once("error", (error) => {
    process.stderr.write(`cannot start ${settings.runsc}: ${error.message}\n`);
    process.exit(CANNOT_PREPARE);
  });
  child.once("exit", (code) => process.exit(code ?? CANNOT_PREPARE));
}

function raiseLoopback(): void {
  const { status, stderr } = spawnSync("ip", ["link", "set", "lo", "up"], { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip link set lo up: ${stderr}`);
}

/** Passes connections on to a unix socket, which has no network and so is the same everywhere. */
async function relay(socketPath: string): Promise<void> {
  const server = createServer((near) => {
    const far = connect(socketPath);
    near.pipe(far).pipe(near);
    near.on("error", () => far.destroy());
    far.on("error", () => near.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(RELAY_PORT, "127.0.0.1", () => resolve());
  });
}
