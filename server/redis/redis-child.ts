/**
 * Our own redis-server: a child process on a unix socket, supervised.
 *
 * It listens on no port. Writes go to an append-only file flushed every second, keys are never
 * evicted. When it dies it is started again, at once at first and at most every 5 s; what its
 * file had is there again. When this process is killed the child lives on, and the next start
 * on the folder ends it (`orphan.ts`).
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { assert, PlatformError } from "../../core/index.ts";
import { connectRedis, type RedisEndpoint } from "./endpoint.ts";
import { endOrphan, endProcess, writePidFile } from "./orphan.ts";
import { identify } from "./process-facts.ts";
import { socketPathFor } from "./socket-path.ts";

const READY_TIMEOUT_MS = 60_000;
const READY_POLL_MS = 20;
const STOP_GRACE_MS = 10_000;
const RESTART_MS_MIN = 100;
const RESTART_MS_MAX = 5_000;
/** A child that lived this long was well; the next restart is at once again. */
const WELL_MS = 30_000;
/** The end of its output, kept to say why it died. */
const OUTPUT_CHARACTERS_MAX = 2_000;

export interface RedisChildOptions {
  /** The platform's data folder; Redis keeps its files in `redis/` under it. */
  readonly dataDir: string;
  /** Program to start; `redis-server` from the PATH by default. */
  readonly command?: string;
}

/** How a child ended that was not asked to. */
export interface RedisExit {
  readonly pid: number;
  readonly code: number | undefined;
  readonly signal: string | undefined;
  /** The last lines it wrote. */
  readonly output: string;
}

export interface RedisChild {
  readonly endpoint: RedisEndpoint;
  /** The running child; undefined while it is being restarted. */
  pid(): number | undefined;
  /** Calls `listener` each time the child ends without being asked; a restart follows. */
  onExit(listener: (exit: RedisExit) => void): void;
  /** Ends it, flushed; resolves when it is gone. Calling it again does nothing more. */
  stop(): Promise<void>;
}

/**
 * Starts redis-server and resolves when it answers.
 *
 * @throws PlatformError `unavailable` when it is not installed or does not come up (with its
 *   last output), `conflict` when another platform runs on the folder.
 */
export async function startRedisChild(options: RedisChildOptions): Promise<RedisChild> {
  const files = await filesOf(options.dataDir);
  await mkdir(files.folder, { recursive: true, mode: 0o700 });
  await endOrphan({ ...files, graceMs: STOP_GRACE_MS });
  const supervisor = new RedisSupervisor({ command: options.command ?? "redis-server", ...files });
  await supervisor.start();
  return supervisor;
}

/**
 * Ends the redis-server that a killed platform left on the data folder, and starts none.
 *
 * @returns Its pid when there was one.
 * @throws PlatformError `conflict` when another platform runs on the folder.
 */
export async function endLeftoverRedis(dataDir: string): Promise<number | undefined> {
  return endOrphan({ ...(await filesOf(dataDir)), graceMs: STOP_GRACE_MS });
}

interface RedisFiles {
  readonly folder: string;
  readonly pidFile: string;
  readonly socketPath: string;
}

async function filesOf(dataDir: string): Promise<RedisFiles> {
  const folder = join(resolve(dataDir), "redis");
  const socketPath = await socketPathFor(folder, "redis.sock");
  return { folder, pidFile: join(folder, "redis.pid"), socketPath };
}

interface SupervisorOptions extends RedisFiles {
  readonly command: string;
}

/** One run of the program. */
interface Run {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly exited: Promise<RedisExit>;
}

class RedisSupervisor implements RedisChild {
  readonly endpoint: RedisEndpoint;
  readonly #options: SupervisorOptions;
  readonly #listeners: ((exit: RedisExit) => void)[] = [];
  readonly #stopping = new AbortController();
  readonly #killAtExit = () => this.#run?.child.kill("SIGTERM");
  #run: Run | undefined;
  #supervising: Promise<void> = Promise.resolve();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.endpoint = { path: options.socketPath };
  }

  pid(): number | undefined {
    return this.#run?.pid;
  }

  onExit(listener: (exit: RedisExit) => void): void {
    this.#listeners.push(listener);
  }

  async start(): Promise<void> {
    const run = await this.#launch();
    process.once("exit", this.#killAtExit);
    this.#supervising = this.#supervise(run);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#endRun();
    await this.#supervising;
    await this.#endRun();
    process.off("exit", this.#killAtExit);
    const { pidFile, folder, socketPath } = this.#options;
    await rm(pidFile, { force: true });
    // A socket outside the folder has a folder of its own, which nothing else is in.
    if (dirname(socketPath) !== folder)
      await rm(dirname(socketPath), { recursive: true, force: true });
  }

  /** Restarts the program whenever it ends, until `stop`. */
  async #supervise(first: Run): Promise<void> {
    let run: Run | undefined = first;
    let failures = 0;
    while (!this.#isStopping()) {
      if (run !== undefined) {
        const exit = await run.exited;
        this.#run = undefined;
        if (this.#isStopping()) return;
        if (performance.now() - run.startedAtMs > WELL_MS) failures = 0;
        for (const listener of this.#listeners) listener(exit);
      }
      const waitMs = Math.min(RESTART_MS_MIN * 2 ** failures, RESTART_MS_MAX);
      if (failures > 0) await sleepUntilAborted(waitMs, this.#stopping.signal);
      failures = Math.min(failures + 1, 10);
      if (this.#isStopping()) return;
      run = await this.#relaunch();
    }
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** One attempt to start again; a failed one is told to the listeners by its own exit. */
  async #relaunch(): Promise<Run | undefined> {
    try {
      return await this.#launch();
    } catch (error) {
      const output = error instanceof Error ? error.message : String(error);
      for (const listener of this.#listeners) {
        listener({ pid: 0, code: undefined, signal: undefined, output });
      }
      return undefined;
    }
  }

  async #launch(): Promise<Run> {
    const run = await startProgram(this.#options);
    this.#run = run;
    await writePidFile(this.#options.pidFile, run.pid);
    const up = new AbortController();
    const ended = run.exited.then((exit) => {
      up.abort();
      throw didNotStart(exit.output);
    });
    try {
      await Promise.race([ended, untilAnswers(this.endpoint, up.signal)]);
      return run;
    } catch (error) {
      up.abort();
      run.child.kill("SIGKILL");
      await run.exited;
      this.#run = undefined;
      throw error;
    } finally {
      ended.catch(() => undefined);
    }
  }

  async #endRun(): Promise<void> {
    const run = this.#run;
    if (run === undefined) return;
    const identity = await identify(run.pid);
    if (identity === undefined) run.child.kill("SIGTERM");
    else await endProcess(identity, STOP_GRACE_MS);
    await run.exited;
  }
}

async function startProgram(options: SupervisorOptions): Promise<Run> {
  const child = spawn(options.command, redisArguments(options), {
    cwd: options.folder,
    stdio: ["ignore", "pipe", "pipe"],
    // A terminal's Ctrl-C must not reach it: the platform stops it after its last writer.
    detached: true,
  });
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString("utf8")).slice(-OUTPUT_CHARACTERS_MAX);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  await new Promise<void>((started, failed) => {
    child.once("spawn", started);
    child.once("error", (error) => failed(notInstalled(options.command, error)));
  });
  const { pid } = child;
  assert(pid !== undefined, "a spawned process has a pid");
  const exited = new Promise<RedisExit>((done) => {
    child.once("close", (code, signal) => {
      done({ pid, code: code ?? undefined, signal: signal ?? undefined, output });
    });
  });
  return { child, pid, startedAtMs: performance.now(), exited };
}

/** Set on the command line, so that no file of the machine changes what is promised here. */
function redisArguments({ folder, socketPath }: SupervisorOptions): string[] {
  return [
    ...["--port", "0"],
    ...["--unixsocket", socketPath],
    ...["--unixsocketperm", "700"],
    ...["--dir", folder],
    ...["--appendonly", "yes"],
    ...["--appendfsync", "everysec"],
    ...["--save", ""],
    ...["--maxmemory-policy", "noeviction"],
    ...["--daemonize", "no"],
    ...["--logfile", ""],
    // The command line stays readable, which is how the next start knows it as ours.
    ...["--set-proc-title", "no"],
  ];
}

/** Resolves when Redis answers PING, its data loaded; or when `signal` aborts. */
async function untilAnswers(endpoint: RedisEndpoint, signal: AbortSignal): Promise<void> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  let problem = "no answer";
  while (!signal.aborted) {
    const redis = connectRedis(endpoint, "start", (error) => (problem = error.message), {
      lazyConnect: true,
      enableReadyCheck: false,
      retryStrategy: () => null,
    });
    try {
      await redis.connect();
      await redis.ping();
      return;
    } catch (error) {
      if (performance.now() > deadlineMs) throw didNotStart(problem, error);
      await sleepUntilAborted(READY_POLL_MS, signal);
    } finally {
      redis.disconnect();
    }
  }
}

async function sleepUntilAborted(durationMs: number, signal: AbortSignal): Promise<void> {
  await sleep(durationMs, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

function notInstalled(command: string, cause: Error): PlatformError {
  return new PlatformError(
    `cannot start ${command} (${cause.message}); install it, e.g. \`apt-get install redis-server\`, ` +
      "or set FLOTILLA_REDIS_URL",
    { code: "unavailable", retryable: false, cause },
  );
}

function didNotStart(output: string, cause?: unknown): PlatformError {
  const message = `redis-server did not come up; it said: ${output.trim() || "(nothing)"}`;
  return new PlatformError(message, { code: "unavailable", retryable: true, cause });
}
