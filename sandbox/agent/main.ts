/** `node sandbox/agent/main.ts --config FILE`: the agent as a process of its own. */
import { parseArgs } from "node:util";
import { messageOf } from "../../core/index.ts";
import { systemClock as clock } from "../system-clock.ts";
import { readAgentConfig } from "./config.ts";
import { createAgent } from "./start-agent.ts";

const { values } = parseArgs({
  options: { config: { type: "string" }, cache: { type: "string" } },
});

const PARENT_CHECK_MS = 1_000;

function report(error: unknown, doing: string): void {
  process.stderr.write(`${new Date().toISOString()} ${doing}: ${messageOf(error)}\n`);
}

const config = await readAgentConfig(values.config ?? "/etc/flotilla/agent.json");
const agent = await createAgent(config, {
  clock,
  onError: report,
  onDismissed: (reason) => {
    report(reason, "ending");
    void end();
  },
  ...(values.cache === undefined ? {} : { cacheDir: values.cache }),
});

let ending: Promise<void> | undefined;
async function end(): Promise<void> {
  ending ??= agent.close();
  await ending;
  process.exit(0);
}

process.on("SIGTERM", () => void end());
process.on("SIGINT", () => void end());
if (config.endsWithParent === true) {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) void end();
  }, PARENT_CHECK_MS).unref();
}
await agent.run();
