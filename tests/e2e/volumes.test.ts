import { mkdirSync, readFileSync, writeFileSync, existsSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Volume } from "../../sdk/index.ts";
import { TestPlatform } from "../support/platform.ts";

const APP = `
import { openSync, closeSync, readFileSync, writeFileSync, readdirSync, rmSync, mkdirSync,
  symlinkSync, linkSync, renameSync, statSync, existsSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { App, Volume } from "flotilla";
const app = new App("shelf");
const data = Volume.fromName("data");
const made = Volume.fromName("made", { createIfMissing: true });
const spec = { volumes: { "/srv/data": data, "/made": made }, scaledownWindowMs: 2_000 };
const attempt = (act) => { try { return act() ?? "done"; } catch (error) { return error.code ?? String(error); } };

export const read = app.function(spec, (path) => attempt(() => readFileSync(path, "utf8")));
export const list = app.function(spec, (path) => readdirSync(path).sort());
export const write = app.function(spec, async (path, text, commit = true) => {
  writeFileSync(path, text);
  return commit ? data.commit() : undefined;
});
export const steps = app.function({ ...spec, name: "steps" }, async () => {
  const out = [];
  out.push(readFileSync("/srv/data/first.txt", "utf8"));
  writeFileSync("/srv/data/first.txt", "second");
  mkdirSync("/srv/data/deep/er", { recursive: true });
  writeFileSync("/srv/data/deep/er/tool", "#!/bin/sh\\necho run", { mode: 0o755 });
  symlinkSync("er/tool", "/srv/data/deep/link");
  linkSync("/srv/data/deep/er/tool", "/srv/data/deep/twin");
  rmSync("/srv/data/old", { recursive: true });
  out.push(await data.commit());
  out.push(await data.commit());
  return out;
});
export const hold = app.function({ ...spec, name: "hold" }, async (waitMs) => {
  const before = attempt(() => readFileSync("/srv/data/from-outside", "utf8"));
  const file = openSync("/srv/data/first.txt", "r");
  const refused = await data.reload().then(() => "reloaded", (error) => [error.code, error.message]);
  closeSync(file);
  await new Promise((resolve) => setTimeout(resolve, waitMs));
  const report = await data.reload();
  const after = attempt(() => readFileSync("/srv/data/from-outside", "utf8"));
  return { before, refused, report, after, names: readdirSync("/srv/data").sort(),
    run: execFileSync("/srv/data/deep/er/tool", { encoding: "utf8" }).trim() };
});
export const move = app.function({ ...spec, name: "move" }, async () => {
  const [from, to] = ["/srv/data/tree", "/srv/data/empty"];
  writeFileSync("/made/began", "");
  await made.commit();
  while (!existsSync("/made/go")) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    await made.reload();
  }
  const refused = ["/srv/data/deep", from + "/inner/own", "/made/tree"].map((path) =>
    attempt(() => renameSync(from, path)));
  renameSync(from, to);
  writeFileSync(to + "/inner/added", "added");
  const text = readFileSync(to + "/inner/two", "utf8");
  const { overwritten } = await data.commit();
  await data.reload();
  const again = attempt(() => renameSync(to + "/inner", "/srv/data/out"));
  const { changedCount } = await data.commit();
  return { refused, text, overwritten, again, changedCount };
});
`;

// Each step stands on those before it.
describe("volumes", { shuffle: false }, () => {
  const platform = new TestPlatform();
  const data = Volume.fromName("data");
  let appFile: string;
  const call = (name: string, ...args: readonly unknown[]): unknown =>
    JSON.parse(
      platform.cli("call", "shelf", name, "--json", ...args.map((arg) => JSON.stringify(arg))),
    );

  beforeAll(async () => {
    await platform.start();
    appFile = platform.write("shelf.mjs", APP);
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  it("are asked for at deployment, with the command that makes them", () => {
    const { status, stderr } = platform.tryCli("deploy", appFile);
    expect(status).toBe(2);
    expect(stderr).toContain("flotilla volume create data");
    platform.cli("volume", "create", "data");
    platform.cli("deploy", appFile);
    const { volumes } = JSON.parse(platform.cli("volume", "list", "--json")) as {
      readonly volumes: readonly { readonly name: string }[];
    };
    expect(volumes.map(({ name }) => name)).toEqual(["data", "made"]);
  });

  it("take files from outside, and give them to containers", async () => {
    await data.writeFile("first.txt", "first");
    await data.writeFile("old/one", "1");
    expect(call("read", "/srv/data/first.txt")).toBe("first");
    expect(call("list", "/srv/data")).toEqual(["first.txt", "old"]);
    expect(call("list", "/made")).toEqual([]);
  });

  it("have what a container committed, once and as a whole", async () => {
    const [seen, commit, again] = call("steps") as readonly [string, object, object];
    expect(seen).toBe("first");
    expect(commit).toMatchObject({ version: 3, removedCount: 2, overwritten: [], skipped: [] });
    expect(again).toMatchObject({ changedCount: 0, removedCount: 0 });
    const entries = await data.list("", { recursive: true });
    expect(entries.map(({ path, kind }) => `${path} ${kind}`)).toEqual([
      "deep folder",
      "deep/er folder",
      "deep/er/tool file",
      "deep/link link",
      "deep/twin file",
      "first.txt file",
    ]);
    expect(Buffer.from(await data.readFile("first.txt")).toString()).toBe("second");
    expect(Buffer.from(await data.readFile("first.txt", { version: 2 })).toString()).toBe("first");
  });

  it("show a running container what others committed when it reloads", async () => {
    const holding = platform.lookup<[number], Record<string, unknown>>("shelf", "hold");
    const held = (await holding).spawn(4_000);
    const call_ = await held;
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    await data.writeFile("from-outside", "hello");
    await data.remove("deep/twin");
    const result = await call_.get();
    expect(result).toMatchObject({
      before: "ENOENT",
      refused: ["conflict", expect.stringContaining("/srv/data/first.txt")],
      report: { changedCount: 1, removedCount: 1 },
      after: "hello",
      names: ["deep", "first.txt", "from-outside"],
      run: "run",
    });
  });

  it("are committed by themselves when a container ends", async () => {
    call("write", "/made/late", "late", false);
    const made = Volume.fromName("made");
    await expect.poll(async () => (await made.list()).map(({ path }) => path)).toEqual(["late"]);
  });

  it("are copied in and out by commands, as one version", async () => {
    const folder = join(platform.scratchDir, "model");
    mkdirSync(join(folder, "parts"), { recursive: true });
    const weights = Buffer.alloc(3_500_000, "weights");
    writeFileSync(join(folder, "parts", "weights.bin"), weights);
    writeFileSync(join(folder, "zeros"), Buffer.alloc(2 * 1024 * 1024));
    writeFileSync(join(folder, "empty"), "");
    const before = (await data.info()).version;
    platform.cli("volume", "put", "data", folder, "model");
    expect((await data.info()).version).toBe(before + 1);
    const back = join(platform.scratchDir, "back");
    platform.cli("volume", "get", "data", "model", back);
    expect(readFileSync(join(back, "parts", "weights.bin")).equals(weights)).toBe(true);
    expect(readFileSync(join(back, "zeros")).equals(Buffer.alloc(2 * 1024 * 1024))).toBe(true);
    expect(readFileSync(join(back, "empty")).byteLength).toBe(0);
    platform.cli("volume", "get", "data", "/", join(platform.scratchDir, "all"));
    expect(readlinkSync(join(platform.scratchDir, "all", "deep", "link"))).toBe("er/tool");
    expect(platform.cli("volume", "get", "data", "first.txt", "-")).toBe("second");
    expect(platform.tryCli("volume", "rm", "data", "model").status).toBe(1);
    platform.cli("volume", "rm", "data", "model", "--recursive");
    expect(platform.tryCli("volume", "get", "data", "model", back).status).toBe(4);
    expect(platform.tryCli("volume", "ls", "nothing").status).toBe(4);
    const old = join(platform.scratchDir, "old");
    platform.cli("volume", "get", "data", "model", old, "--at", String(before + 1));
    expect(existsSync(join(old, "zeros"))).toBe(true);
  });

  it("let folders be renamed, and keep what others put into them meanwhile", async () => {
    const folder = join(platform.scratchDir, "tree");
    mkdirSync(join(folder, "inner"), { recursive: true });
    writeFileSync(join(folder, "one"), "one");
    writeFileSync(join(folder, "inner", "two"), "two");
    platform.cli("volume", "put", "data", folder, "tree");
    const hollow = join(platform.scratchDir, "empty");
    mkdirSync(hollow);
    platform.cli("volume", "put", "data", hollow, "empty");
    const made = Volume.fromName("made");
    const moving = await platform.lookup<[], object>("shelf", "move");
    const moved = await moving.spawn();
    await expect
      .poll(async () => (await made.list()).map(({ path }) => path), { timeout: 20_000 })
      .toContain("began");
    // Another writer's file keeps the old folder; what it removed comes back under the new name.
    await data.writeFile("tree/inner/theirs", "theirs");
    await data.remove("tree/one");
    await made.writeFile("go", "");
    expect(await moved.get()).toEqual({
      refused: ["ENOTEMPTY", "EINVAL", "EXDEV"],
      text: "two",
      overwritten: [],
      again: "done",
      changedCount: 3,
    });
    const paths = async (at: string): Promise<readonly string[]> =>
      (await data.list(at, { recursive: true })).map(({ path }) => path);
    expect(await paths("tree")).toEqual(["tree/inner", "tree/inner/theirs"]);
    expect(await paths("empty")).toEqual(["empty/one"]);
    expect(await paths("out")).toEqual(["out/added", "out/two"]);
    expect(Buffer.from(await data.readFile("empty/one")).toString()).toBe("one");
  });
});
