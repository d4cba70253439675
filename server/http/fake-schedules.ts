/** One schedule in memory, for tests of the HTTP server. */
import { PlatformError } from "../../core/index.ts";
import type { ScheduleInfo } from "../../sdk/protocol/index.ts";
import type { ScheduleService } from "../services.ts";

/** Schedules of which there is one: `demo/report`, every five minutes. */
export function createFakeSchedules(): ScheduleService {
  let state: ScheduleInfo["state"] = "active";
  const info = (): ScheduleInfo => ({
    app: "demo",
    function: "report",
    schedule: { kind: "cron", expression: "*/5 * * * *", timezone: "Europe/Berlin" },
    state,
    nextRunsAtMs: state === "paused" ? [] : [600_000],
    lastRuns: [
      {
        dueAtMs: 300_000,
        state: "missed",
        missed: { count: 1, firstDueAtMs: 300_000, reason: "no server was there to run it" },
      },
      { dueAtMs: 1, state: "succeeded", callId: `ca_${"0".repeat(26)}` },
    ],
    missedCount: 1,
  });
  const turn = (app: string, name: string, to: ScheduleInfo["state"]): Promise<ScheduleInfo> => {
    if (app !== "demo" || name !== "report") {
      const code = { code: "not_found", retryable: false } as const;
      return Promise.reject(new PlatformError(`no schedule of ${app}/${name}`, code));
    }
    state = to;
    return Promise.resolve(info());
  };
  return {
    list: (_who, app = "demo") => Promise.resolve(app === "demo" ? [info()] : []),
    pause: (_who, app, name) => turn(app, name, "paused"),
    resume: (_who, app, name) => turn(app, name, "active"),
  };
}
