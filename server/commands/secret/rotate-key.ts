/** `flotilla secret rotate-key`: a new key for all secrets of a data folder. */
import { existsSync } from "node:fs";
import { loadConfig } from "../../load-config.ts";
import { rotateSecretKey, type KeyChangeReport } from "../../secrets/rotate-key.ts";
import { openRecordStore } from "../../store/sqlite/open.ts";
import { recordStorePath } from "../../store/store-path.ts";
import { flagsOf } from "../flags.ts";
import { CommandError, settle } from "../outcome.ts";
import { claimDataDir, releaseDataDir } from "../platform-state.ts";

/** Changes the key while nothing else has the data folder. */
export async function runRotateKey(options: { data?: string; json?: boolean }): Promise<void> {
  await settle(async () => {
    const { dataDir, secretKey, secretKeyNext } = loadConfig(flagsOf(options), process.env);
    if (!existsSync(recordStorePath(dataDir))) {
      throw new CommandError("usage", `there is no platform's data in ${dataDir}`, {
        nextStep: "name its folder with --data",
      });
    }
    const live = claimDataDir(dataDir, Date.now());
    if (live !== undefined) {
      throw new CommandError("usage", `the platform runs on ${dataDir} (pid ${live.pid})`, {
        nextStep: "stop it first: flotilla down",
      });
    }
    try {
      const store = openRecordStore(recordStorePath(dataDir));
      const change = { dataDir, given: secretKey, next: secretKeyNext };
      say(options, await rotateSecretKey(store, change));
    } finally {
      releaseDataDir(dataDir);
    }
  });
}

function say(options: { json?: boolean }, report: KeyChangeReport): void {
  if (options.json === true) {
    console.log(JSON.stringify(report));
    return;
  }
  const { secretCount, keyId, isGiven } = report;
  console.log(`✔ The keys of ${secretCount} secrets are encrypted under the key ${keyId} now.`);
  if (isGiven) console.log("  Start the platform with that key in FLOTILLA_SECRET_KEY.");
}
