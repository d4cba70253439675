/** A real platform for a test: its own process, folder, Redis, agents and clouds. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processesOf, mountsUnder, sweep } from "../../scripts/platform/sweep.ts";
import {
  flotilla,
  runFlotilla,
  startPlatformProcess,
  type CommandResult,
  type RunningPlatform,
} from "../../scripts/platform/platform-process.ts";
import { App, type RemoteFunction } from "../../sdk/index.ts";

/** A platform under test and the ways to reach it. */
export class TestPlatform {
  readonly scratchDir = mkdtempSync(join(tmpdir(), "flotilla-test-"));
  #running: RunningPlatform | undefined;
  #port = 0;

  get running(): RunningPlatform {
    if (this.#running === undefined) throw new Error("the platform is not started");
    return this.#running;
  }

  get dataDir(): string {
    return join(this.scratchDir, "data");
  }

  /** Starts it; after a stop or a kill it starts again on the same folder and port. */
  async start(
    upArguments: readonly string[] = [],
    environment: NodeJS.ProcessEnv = {},
  ): Promise<void> {
    if (this.#port === 0) this.#port = await freePort();
    this.#running = await startPlatformProcess({
      scratchDir: this.scratchDir,
      upArguments: ["--port", String(this.#port), ...upArguments],
      environment,
      signal: AbortSignal.timeout(60_000),
    });
    process.env["FLOTILLA_SERVER_URL"] = this.#running.serverUrl;
    process.env["FLOTILLA_TOKEN"] = this.#running.token;
  }

  async stop(): Promise<void> {
    await this.#running?.stop();
    this.#running = undefined;
  }

  /** Stops it and says what it left behind, which is then removed. */
  async close(): Promise<{ readonly processes: readonly number[]; readonly mounts: number }> {
    await this.stop();
    const left = {
      processes: processesOf(this.scratchDir),
      mounts: mountsUnder(this.scratchDir).length,
    };
    await sweep(this.scratchDir);
    return left;
  }

  /** Runs a command of the command line; throws when it fails. */
  cli(...commandArguments: readonly string[]): string {
    return flotilla(this.scratchDir, commandArguments);
  }

  /** Runs a command that may fail. */
  tryCli(...commandArguments: readonly string[]): CommandResult {
    return runFlotilla(this.scratchDir, commandArguments);
  }

  /** Writes a user's file and gives its path. */
  write(name: string, text: string): string {
    const path = join(this.scratchDir, name);
    writeFileSync(path, text);
    return path;
  }

  async lookup<Args extends unknown[], Result>(
    app: string,
    functionName: string,
  ): Promise<RemoteFunction<Args, Result>> {
    return App.lookup<Args, Result>(app, functionName);
  }

  /** A GET of the API, as JSON. */
  async get<Answer>(path: string): Promise<Answer> {
    const { serverUrl, token } = this.running;
    // A test that waits for a command hears nothing meanwhile: of kept connections that the server
    // has closed it is told in a turn of its own.
    await new Promise((resolve) => setTimeout(resolve, 1));
    const response = await fetch(`${serverUrl}${path}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return (await response.json()) as Answer;
  }
}

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === "string") reject(new Error("no port"));
        else resolve(address.port);
      });
    });
  });
}
