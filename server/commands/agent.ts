/** `flotilla agent`: the node agent of this machine, until it is stopped or dismissed. */
import { messageOf } from "../../core/index.ts";
import { createAgent, readAgentConfig } from "../../sandbox/index.ts";
import { systemClock } from "../system-clock.ts";
import { settle } from "./outcome.ts";
import { nextStop } from "./stop-signal.ts";

/** Runs the agent; a dropped connection is its own business, so this ends only on purpose. */
export async function runAgentCommand(options: { readonly config: string }): Promise<void> {
  await settle(async () => {
    const dismissed = Promise.withResolvers<undefined>();
    const agent = await createAgent(await readAgentConfig(options.config), {
      clock: systemClock,
      onError: (error, doing) => say(`${doing}: ${messageOf(error)}`),
      onDismissed: (reason) => {
        say(`ending: ${reason}`);
        dismissed.resolve(undefined);
      },
    });
    const stopped = Promise.race([nextStop(() => undefined), dismissed.promise]);
    await Promise.race([agent.run(), stopped]);
    await agent.close();
  });
}

function say(text: string): void {
  console.error(`${new Date().toISOString()} ${text}`);
}
