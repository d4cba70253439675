import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { examine } from "./doctor-checks.ts";
import type { Finding } from "./finding.ts";

let home = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "flotilla-doctor-"));
  for (const name of ["FLOTILLA_SERVER_URL", "FLOTILLA_TOKEN", "AWS_ACCESS_KEY_ID"]) {
    vi.stubEnv(name, undefined);
  }
  vi.stubEnv("FLOTILLA_HOME", home);
  vi.stubEnv("HOME", home);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

async function found(name: string): Promise<Finding | undefined> {
  return (await examine()).find((finding) => finding.name === name);
}

test("a machine that runs the tests has what is required", async () => {
  const bad = (await examine()).filter((finding) => finding.state === "bad");
  expect(bad).toEqual([]);
});

test("a missing program is bad and says how to get it", async () => {
  vi.stubEnv("PATH", home);
  const findings = (await examine()).filter((finding) => finding.state === "bad");
  expect(findings.map((finding) => finding.name)).toEqual(["redis-server", "runsc (gVisor)"]);
  for (const finding of findings) expect(finding.mend).toContain("apt-get install");
});

test("credentials are looked for by presence, and their value is never shown", async () => {
  expect(await found("AWS credentials")).toMatchObject({ state: "absent" });
  vi.stubEnv("AWS_ACCESS_KEY_ID", "AKIASECRET");
  const finding = await found("AWS credentials");
  expect(finding).toMatchObject({ state: "good", detail: "present (AWS_ACCESS_KEY_ID)" });
  expect(JSON.stringify(finding)).not.toContain("AKIASECRET");
});

test("credentials of Google Cloud are found where its own client looks for them", async () => {
  vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", "");
  const name = "Google Cloud credentials";
  const { mend } = (await found(name)) ?? {};
  expect(mend).toContain("gcloud auth application-default login");
  expect(mend).toContain("FLOTILLA_GCP_REGIONS");
  vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", "/key.json");
  expect(await found(name)).toMatchObject({ state: "good" });
});

test("a platform that does not answer is named with its address", async () => {
  vi.stubEnv("FLOTILLA_SERVER_URL", "http://127.0.0.1:9");
  vi.stubEnv("FLOTILLA_TOKEN", "fl_x");
  const finding = await found("platform");
  expect(finding).toMatchObject({ state: "absent", mend: "flotilla up --detach" });
  expect(finding?.detail).toContain("http://127.0.0.1:9");
});
