/** `flotilla down`: ends the platform of a data folder. */
import { setTimeout as sleep } from "node:timers/promises";
import { loadConfig } from "../load-config.ts";
import { flagsOf } from "./flags.ts";
import { CommandError, settle } from "./outcome.ts";
import { isAlive, readLiveState, type PlatformState } from "./platform-state.ts";

const GRACE_MS = 30_000;
const POLL_MS = 50;

/** Asks the platform to stop and waits until its process is gone; none running is fine. */
export async function runDown(options: {
  readonly data?: string;
  readonly json?: boolean;
}): Promise<void> {
  await settle(async () => {
    const { dataDir } = loadConfig(flagsOf(options), process.env);
    const state = readLiveState(dataDir);
    if (state !== undefined) await end(state);
    if (options.json === true) {
      console.log(
        JSON.stringify({ stopped: state !== undefined, pid: state?.pid ?? null, dataDir }),
      );
    } else if (state === undefined) {
      console.log(`Nothing runs on ${dataDir}.`);
    } else {
      console.log(`✔ Flotilla stopped (pid ${state.pid}). Its data stays in ${dataDir}.`);
    }
  });
}

async function end(state: PlatformState): Promise<void> {
  process.kill(state.pid, "SIGTERM");
  const deadlineMs = Date.now() + GRACE_MS;
  while (isAlive(state)) {
    if (Date.now() > deadlineMs) {
      throw new CommandError(
        "failed",
        `the platform (pid ${state.pid}) still runs ${GRACE_MS / 1000} s after it was told to stop`,
        { nextStep: `end it by force with \`kill -9 ${state.pid}\`` },
      );
    }
    await sleep(POLL_MS);
  }
}
