/** Volumes from Python: committed and reloaded by the code, in one process and in many. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Volume } from "../../sdk/index.ts";
import { TestPlatform } from "../support/platform.ts";

const CODE = `
import flotilla

notes = flotilla.volume("notes")

def refusal(act):
    try:
        act()
    except flotilla.VolumeError as error:
        return [error.code, str(error)]

AT_LOAD = refusal(notes.commit)

def write(name, text):
    with open(f"{notes.path}/{name}", "w") as file:
        file.write(text)
    return notes.commit()._asdict()

def read_anew(name):
    held = open(f"{notes.path}/held", "w")
    refused = refusal(notes.reload)
    held.close()
    version = notes.reload()
    with open(f"/notes/{name}") as file:
        return {"refused": refused, "version": version, "text": file.read()}

async def commit_async(name):
    with open(f"/notes/{name}", "w") as file:
        file.write("async")
    return notes.commit().version

def mistakes():
    return [AT_LOAD, refusal(flotilla.volume("other").commit)]
`;
const APP = `
import { App, Volume } from "flotilla";
const app = new App("notes");
const notes = Volume.fromName("notes", { createIfMissing: true });
const python = { runtime: "python", source: "notes.py", volumes: { "/notes": notes } };
export const write = app.function({ ...python, handler: "write" });
export const readAnew = app.function({ ...python, handler: "read_anew" });
export const commitAsync = app.function({ ...python, handler: "commit_async" });
export const mistakes = app.function({ ...python, handler: "mistakes" });
export const forked = app.function({ ...python, handler: "write", name: "forked",
  workers: "processes", maxConcurrentInputs: 2 });
`;
const platform = new TestPlatform();
const notes = Volume.fromName("notes");

beforeAll(async () => {
  await platform.start();
  platform.write("notes.py", CODE);
  platform.cli("deploy", platform.write("notes.mjs", APP));
});

afterAll(async () => {
  expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
});

function call(name: string, ...args: readonly string[]): unknown {
  return JSON.parse(platform.cli("call", "notes", name, ...args, "--json"));
}

async function textOf(path: string): Promise<string> {
  return new TextDecoder().decode(await notes.readFile(path));
}

test("what Python commits is the next version, and what others committed comes by a reload", async () => {
  const first = call("write", "a.txt", "one");
  expect(first).toMatchObject({ overwritten: [], skipped: [] });
  expect(await textOf("a.txt")).toBe("one");
  await notes.writeFile("from-outside", "two");
  expect(call("readAnew", "from-outside")).toMatchObject({
    refused: ["conflict", expect.stringMatching(/open: \/notes\/held; close them/)],
    text: "two",
  });
});

test("a coroutine and a forked process commit, too", async () => {
  expect(call("commitAsync", "b.txt")).toBeGreaterThan(0);
  expect(call("forked", "c.txt", "three")).toMatchObject({ skipped: [] });
  expect([await textOf("b.txt"), await textOf("c.txt")]).toEqual(["async", "three"]);
});

test("mistakes say what to do", () => {
  expect(call("mistakes")).toEqual([
    ["usage", expect.stringContaining("not while the code is loaded")],
    ["not_found", expect.stringContaining("other")],
  ]);
});
