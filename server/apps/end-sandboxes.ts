/** Sandboxes end when their time is over, whether or not whoever made them is still there. */
import { messageOf } from "../../core/index.ts";
import type { AppService } from "../services.ts";

/** The name of a sandbox's app: when it ends, in ms and base 36, and chance (sdk/sandbox). */
const SANDBOX_APP = /^sandbox-([0-9a-z]{8,9})-[0-9a-f]{12}$/;

/** When the sandbox of this name ends at the latest; undefined for an app that is none. */
export function sandboxEndsAtMs(app: string): number | undefined {
  const digits = SANDBOX_APP.exec(app)?.[1];
  return digits === undefined ? undefined : parseInt(digits, 36);
}

/** Stops the sandboxes of these workspaces whose time is over. One that cannot be is tried again. */
export async function endSandboxes(
  apps: Pick<AppService, "list" | "stop">,
  workspaceIds: readonly string[],
  {
    nowMs,
    onError,
  }: {
    readonly nowMs: number;
    readonly onError: (error: unknown, doing: string) => void;
  },
): Promise<void> {
  for (const workspaceId of workspaceIds) {
    const who = { workspaceId, tokenId: "platform" };
    for (const { app, appId, state } of await apps.list(who)) {
      const endsAtMs = state === "running" ? sandboxEndsAtMs(app) : undefined;
      if (endsAtMs === undefined || endsAtMs > nowMs) continue;
      await apps.stop(who, appId).catch((error: unknown) => {
        onError(error, `ending the sandbox ${app}: ${messageOf(error)}`);
      });
    }
  }
}
