/** `flotilla down`: ends the platform of a data folder. */
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { endLeftovers } from "../assembly/leftovers.ts";
import { loadConfig } from "../load-config.ts";
import { flagsOf } from "./flags.ts";
import { CommandError, settle } from "./outcome.ts";
import {
  claimDataDir,
  isAlive,
  readLiveState,
  releaseDataDir,
  type PlatformState,
} from "./platform-state.ts";

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
    const leftoverCount = await endWhatIsLeft(dataDir);
    if (options.json === true) {
      const stopped = state !== undefined;
      console.log(JSON.stringify({ stopped, pid: state?.pid ?? null, dataDir, leftoverCount }));
      return;
    }
    if (state !== undefined) {
      console.log(`✔ Flotilla stopped (pid ${state.pid}). Its data stays in ${dataDir}.`);
    }
    if (leftoverCount > 0) {
      console.log(
        `✔ Ended what a killed platform had left: ${leftoverCount} of its servers and agents.`,
      );
    } else if (state === undefined) {
      console.log(`Nothing runs on ${dataDir}.`);
    }
  });
}

/** Ends what a killed platform left, unless another has the folder by now; gives how many. */
async function endWhatIsLeft(dataDir: string): Promise<number> {
  if (!existsSync(dataDir) || claimDataDir(dataDir, Date.now()) !== undefined) return 0;
  try {
    return await endLeftovers(dataDir);
  } finally {
    releaseDataDir(dataDir);
  }
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
