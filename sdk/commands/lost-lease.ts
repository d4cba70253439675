/** Ephemeral apps are kept by whoever made them. */
import { FlotillaError, NotFoundError, RequestError } from "../errors.ts";
import type { Deployment } from "../protocol/index.ts";
import type { AdminClient } from "./admin-client.ts";

/** Heartbeats per lease: two may get lost. */
const HEARTBEATS_PER_LEASE = 3;

/** Keeps an app alive until the signal aborts; rejects when the server says that it is gone. */
export function lostLease(
  admin: AdminClient,
  { app, appId, leaseMs }: Deployment,
  ended: AbortSignal,
): Promise<never> {
  return new Promise((_resolve, reject) => {
    const beat = (): void => {
      admin.heartbeat(appId).catch((error: unknown) => {
        const isGone = error instanceof NotFoundError || error instanceof RequestError;
        if (!isGone || ended.aborted) return;
        reject(new FlotillaError(`app ${app} was stopped while it ran`, { code: "app_stopped" }));
      });
    };
    const timer = setInterval(beat, leaseMs / HEARTBEATS_PER_LEASE);
    timer.unref();
    ended.addEventListener("abort", () => clearInterval(timer), { once: true });
  });
}
