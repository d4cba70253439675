import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runFlotilla, type CommandResult } from "../../scripts/platform/platform-process.ts";
import type { CreatedToken, TokenList, WorkspaceList } from "../../sdk/protocol/index.ts";
import { TestPlatform } from "../support/platform.ts";

const APP = `
import { App } from "flotilla";
const app = new App("shared-name");
export const who = app.function({ scaledownWindowMs: 2_000 }, () => "OWNER");
export const reaches = app.function({ scaledownWindowMs: 2_000 }, async (name) => {
  try {
    return await (await App.lookup(name, "who")).remote();
  } catch (error) {
    return error.code;
  }
});
`;

// Each step stands on those before it.
describe("workspaces", { shuffle: false }, () => {
  const platform = new TestPlatform();
  let admin: CreatedToken;
  let caller: CreatedToken;

  const as = (token: string, ...args: readonly string[]): CommandResult =>
    runFlotilla(platform.scratchDir, args, { FLOTILLA_TOKEN: token });
  const create = (...args: readonly string[]): CreatedToken =>
    JSON.parse(platform.cli("token", "create", ...args, "--json")) as CreatedToken;

  beforeAll(async () => {
    await platform.start();
    const ours = platform.write("ours.mjs", APP.replace("OWNER", "default"));
    platform.cli("deploy", ours);
    const alone = APP.replaceAll("shared-name", "ours-alone");
    platform.cli("deploy", platform.write("alone.mjs", alone));
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  it("are made with tokens of their own", () => {
    platform.cli("workspace", "create", "team-a");
    expect(platform.tryCli("workspace", "create", "team-a")).toMatchObject({ status: 1 });
    admin = create("admin", "--workspace", "team-a", "--scope", "admin");
    caller = create("site", "--workspace", "team-a", "--scope", "call", "--expires", "1h");
    const list = JSON.parse(platform.cli("workspace", "list", "--json")) as WorkspaceList;
    const team = list.workspaces.find(({ name }) => name === "team-a");
    expect(team).toMatchObject({ appCount: 0, tokenCount: 2 });
  });

  it("have apps of the same name that are other apps, for containers too", () => {
    const theirs = platform.write("theirs.mjs", APP.replace("OWNER", "team-a"));
    const call = (name: string, ...args: readonly string[]): string =>
      as(caller.secret, "call", "shared-name", name, ...args, "--json").stdout.trim();
    expect(as(caller.secret, "call", "shared-name", "who")).toMatchObject({ status: 4 });
    expect(as(admin.secret, "deploy", theirs)).toMatchObject({ status: 0 });
    expect(call("who")).toBe('"team-a"');
    expect(platform.cli("call", "shared-name", "who", "--json").trim()).toBe('"default"');
    expect(call("reaches", "shared-name")).toBe('"team-a"');
    expect(call("reaches", "ours-alone")).toBe('"not_found"');
    expect(as(caller.secret, "call", "ours-alone", "who")).toMatchObject({ status: 4 });
  });

  it("are what operators choose, and nobody else", () => {
    const listed = (environment: Readonly<Record<string, string>>): CommandResult =>
      runFlotilla(platform.scratchDir, ["app", "list", "--json"], environment);
    const inTeam = listed({ FLOTILLA_WORKSPACE: "team-a" });
    expect(inTeam.stdout.split('"shared-name"')).toHaveLength(2);
    expect(inTeam.stdout).not.toContain("ours-alone");
    const own = { FLOTILLA_TOKEN: admin.secret };
    expect(listed({ ...own, FLOTILLA_WORKSPACE: "team-a" }).status).toBe(0);
    expect(listed({ ...own, FLOTILLA_WORKSPACE: "default" }).status).toBe(4);
  });

  it("tell a token what it lacks, with exit code 3 and what to do", () => {
    const refused = as(caller.secret, "app", "list");
    expect(refused.status).toBe(3);
    expect(refused.stderr).toContain(
      "needs a token with the scope read, and yours has the scope call",
    );
    expect(refused.stderr).toContain("next:");
    expect(as(admin.secret, "workspace", "list").status).toBe(3);
    expect(as("fl_nothing", "app", "list").status).toBe(3);
  });

  it("keep their tokens over a restart, and revoked ones stay revoked", async () => {
    const gone = create("gone", "--workspace", "team-a", "--scope", "read");
    expect(as(gone.secret, "app", "list").status).toBe(0);
    expect(as(admin.secret, "token", "revoke", gone.tokenId).status).toBe(0);
    expect(as(gone.secret, "app", "list").status).toBe(3);
    await platform.stop();
    await platform.start();
    expect(as(gone.secret, "app", "list").status).toBe(3);
    const { tokens } = JSON.parse(as(admin.secret, "token", "list", "--json").stdout) as TokenList;
    expect(tokens.map(({ name, state }) => `${name} ${state}`)).toEqual([
      "admin active",
      "site active",
      "gone revoked",
    ]);
    expect(tokens.every(({ lastUsedAtMs }) => lastUsedAtMs !== undefined)).toBe(true);
    expect(as(caller.secret, "call", "shared-name", "who").status).toBe(0);
  });

  it("are deleted with all that runs in them, and the others go on", () => {
    expect(platform.tryCli("workspace", "delete", "team-a").stderr).toContain("shared-name");
    platform.cli("workspace", "delete", "team-a", "--yes");
    expect(as(admin.secret, "app", "list").status).toBe(3);
    expect(platform.cli("call", "shared-name", "who", "--json").trim()).toBe('"default"');
    expect(platform.tryCli("workspace", "delete", "default", "--yes").status).toBe(1);
  });
});
