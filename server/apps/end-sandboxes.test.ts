import { expect, test } from "vitest";
import type { AppSummary } from "../../sdk/protocol/index.ts";
import { endSandboxes, sandboxEndsAtMs } from "./end-sandboxes.ts";

const NOW_MS = 1_800_000_000_000;
const named = (endsAtMs: number): string => `sandbox-${endsAtMs.toString(36)}-0123456789ab`;
const summary = (app: string, state: AppSummary["state"] = "running"): AppSummary => ({
  appId: `ap_${app}`,
  app,
  mode: "deployed",
  state,
  version: 1,
  functions: ["sandbox"],
  containers: 0,
  createdAtMs: 0,
});

test.each(["sandbox", "sandbox-1", "sandbox-zzzzzzzz-xyz", "my-sandbox-mtz00000-0123456789ab"])(
  "an app named %s is no sandbox",
  (app) => expect(sandboxEndsAtMs(app)).toBeUndefined(),
);

test("sandboxes end when their time is over, others and other apps go on, failures stop nobody", async () => {
  const apps = [
    summary(named(NOW_MS - 1)),
    summary(named(NOW_MS)),
    summary(named(NOW_MS + 1)),
    summary(named(NOW_MS - 2), "stopped"),
    summary("square"),
  ];
  const stopped: string[] = [];
  const errors: string[] = [];
  await endSandboxes(
    {
      list: () => Promise.resolve(apps),
      stop: (who, appId) => {
        expect(who.workspaceId).toBe("ws_1");
        if (stopped.push(appId) === 1) return Promise.reject(new Error("not now"));
        return Promise.resolve(summary(appId));
      },
    },
    ["ws_1"],
    { nowMs: NOW_MS, onError: (_, doing) => errors.push(doing) },
  );
  expect(stopped).toEqual([`ap_${named(NOW_MS - 1)}`, `ap_${named(NOW_MS)}`]);
  expect(errors).toEqual([`ending the sandbox ${named(NOW_MS - 1)}: not now`]);
});
