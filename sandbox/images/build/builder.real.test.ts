/** The builder in gVisor, on an empty base and on one of a registry: what a step does and leaves. */
import { spawn } from "node:child_process";
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ImageBase, ImageStage, ImageStep } from "../../../sdk/protocol/index.ts";
import { tarOf } from "../oci/test-tar.ts";
import { StepFailedError, type BuildProgress } from "./builder.ts";
import { code, FS, logOf, SCRATCH, useTestBuilder } from "./test-builder.ts";

const current = useTestBuilder();
const build: typeof current.build = (...given) => current.build(...given);
const files: typeof current.files = (...given) => current.files(...given);

test("an empty base has the platform's Node, and keeps what its steps leave", async () => {
  const built = await build([
    files("/srv", [
      { name: "a", content: "given" },
      { name: "gone", content: "x" },
    ]),
    { kind: "env", variables: { GREETING: "hello" } },
    { kind: "workdir", path: "/srv/deep" },
    code(`${FS} fs.writeFileSync("b", process.env.GREETING + " from " + process.cwd());
      fs.rmSync("/srv/gone"); fs.rmSync("/etc/nsswitch.conf"); fs.writeFileSync("/tmp/left", "x");
      fs.mkdirSync("/new"); fs.symlinkSync("/srv/a", "/new/link"); fs.chownSync("b", 12, 34);
      console.log(process.getuid());`),
  ]);
  const { root } = built;
  expect(logOf(built)).toContain("0");
  expect(readFileSync(join(root, "srv/a"), "utf8")).toBe("given");
  expect(readFileSync(join(root, "srv/deep/b"), "utf8")).toBe("hello from /srv/deep");
  expect(lstatSync(join(root, "srv/deep/b"))).toMatchObject({ uid: 12, gid: 34 });
  expect(lstatSync(join(root, "new/link")).isSymbolicLink()).toBe(true);
  for (const gone of ["srv/gone", "etc/nsswitch.conf", "tmp/left", ".flotilla-build"]) {
    expect(existsSync(join(root, gone))).toBe(false);
  }
});

test("a folder that was removed and made again has nothing of what it was", async () => {
  const { root } = await build([
    files("/srv", [
      { name: "old/one", content: "1" },
      { name: "old/two", content: "2" },
    ]),
    code(`${FS} fs.rmSync("/srv/old", { recursive: true }); fs.mkdirSync("/srv/old");
      fs.writeFileSync("/srv/old/three", "3");`),
  ]);
  expect(readdirSync(join(root, "srv/old"))).toEqual(["three"]);
});

test("the image before stays as it was, though it shares its files", async () => {
  const first = files("/srv", [{ name: "shared", content: "first" }]);
  const before = await build([first]);
  const after = await build([first, code(`${FS} fs.appendFileSync("/srv/shared", " changed");`)]);
  expect(readFileSync(join(before.root, "srv/shared"), "utf8")).toBe("first");
  expect(readFileSync(join(after.root, "srv/shared"), "utf8")).toBe("first changed");
  expect(after.events.filter(({ kind }) => kind === "cached")).toHaveLength(3);
});

test("layers of a registry are followed where their links lead, and nothing leaves the image", async () => {
  const secret = join(current.dir, "secret");
  current.registry.add("v1", {
    layers: [
      tarOf([
        { name: "usr/lib/", flag: "5", mode: 0o755 },
        { name: "lib", flag: "2", linkName: "usr/lib" },
        { name: "out", flag: "2", linkName: "../../../../../../../../.." },
        { name: "etc", flag: "2", linkName: "/usr/settings" },
        { name: "usr/settings/", flag: "5", mode: 0o755 },
      ]),
    ],
    config: { Env: ["FROM_IMAGE=yes", "PATH=/usr/bin"], WorkingDir: "/usr" },
  });
  const base: ImageBase = { kind: "registry", ref: `${current.registry.host}/org/name:v1` };
  const built = await build(
    [
      files("/lib", [{ name: "added", content: "x" }]),
      files(`/out${current.dir}`, [{ name: "secret", content: "written" }]),
      code('console.log([process.env.FROM_IMAGE, process.cwd(), process.env.PATH].join(" "));'),
    ],
    base,
  );
  expect(logOf(built)).toContain("yes /usr /usr/bin:/opt/flotilla/bin:/node_modules/.bin");
  expect(existsSync(join(built.root, "usr/lib/added"))).toBe(true);
  expect(existsSync(join(built.root, "usr/settings/passwd"))).toBe(true);
  expect(existsSync(secret)).toBe(false);
  expect(readFileSync(join(built.root, current.dir, "secret"), "utf8")).toBe("written");
});

test("a layer with a name that leads out of the image is refused, and nothing is kept of it", async () => {
  current.registry.add("v1", { layers: [tarOf([{ name: "../../escaped", content: "x" }])] });
  const base: ImageBase = { kind: "registry", ref: `${current.registry.host}/org/name:v1` };
  await expect(build([], base)).rejects.toThrow(/leads out of the image: "\.\.\/\.\.\/escaped"/);
  const attempt = build([files("/a", [{ name: "../../escaped", content: "x" }])]);
  await expect(attempt).rejects.toMatchObject({ code: "invalid_request" });
  expect(existsSync(join(current.dir, "..", "escaped"))).toBe(false);
});

describe("a step that fails", () => {
  test("tells its code and its last lines, and what is before it is kept", async () => {
    const before = code(`console.log("before");`);
    const attempt = build([
      before,
      code(`for (let n = 1; n < 30; n += 1) console.log("line " + n); missing;`),
    ]);
    const error: unknown = await attempt.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StepFailedError);
    const { message, lastLines } = error as StepFailedError;
    expect(message).toMatch(/ended with 1; the steps before it are kept/);
    expect(lastLines).toHaveLength(20);
    expect(lastLines.join("\n")).toMatch(/missing is not defined/);
    expect(lastLines.at(-1)).toMatch(/sees nothing of the file around it/);
    const again = await build([before]);
    expect(again.events.filter(({ kind }) => kind === "cached")).toHaveLength(3);
  });

  test("because its image has no shell", async () => {
    const error: unknown = await build([{ kind: "run", commands: ["true"] }]).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(StepFailedError);
    expect((error as StepFailedError).lastLines.join("\n")).toMatch(/\/bin\/sh/);
  });
});

describe("files of stages", () => {
  const PASSWD = "root:x:0:0::/root:/bin/sh\nann:x:1001:100::/home/ann:/bin/sh\n";
  const users = (): ImageStep =>
    files("/etc", [
      { name: "passwd", content: PASSWD },
      { name: "group", content: "users:x:100:\nwheel:x:10:ann\n" },
    ]);
  const contentOf = (root: string, path: string): string => readFileSync(join(root, path), "utf8");

  test("are copied as they are, without the stage they come from", async () => {
    const stage: ImageStage = {
      base: SCRATCH,
      steps: [
        code(`${FS} fs.mkdirSync("/out/deep/below", { recursive: true });
          fs.writeFileSync("/out/program", "run", { mode: 0o751 });
          fs.linkSync("/out/program", "/out/deep/same"); fs.symlinkSync("../none", "/out/deep/link");
          fs.writeFileSync("/out/deep/one.txt", "1"); fs.writeFileSync("/out/deep/two.txt", "2");
          fs.writeFileSync("/out/deep/not.md", "3"); fs.chownSync("/out/deep/one.txt", 7, 8);
          fs.symlinkSync("/out/deep", "/way"); fs.symlinkSync("../../../../etc/passwd", "/host");`),
      ],
    };
    const copy = { kind: "copy", stage: 0 } as const;
    const steps: readonly ImageStep[] = [
      users(),
      { ...copy, sources: ["/out"], target: "/srv/all" },
      { ...copy, sources: ["/way/*.txt"], target: "/srv/texts/", owner: "ann" },
      { ...copy, sources: ["out/program"], target: "/srv/renamed", mode: 0o600, owner: "5:users" },
      { ...copy, sources: ["/way"], target: "/srv/all" },
    ];
    const { root } = await build(steps, SCRATCH, [stage]);
    const of = (path: string) => {
      const { uid, gid, mode, ino, nlink } = lstatSync(join(root, path));
      return { uid, gid, mode: mode & 0o7777, ino, nlink };
    };
    expect(contentOf(root, "srv/all/program")).toBe("run");
    expect(of("srv/all/program")).toMatchObject({ mode: 0o751, uid: 0 });
    expect(of("srv/all/program").ino).toBe(of("srv/all/deep/same").ino);
    expect(readlinkSync(join(root, "srv/all/deep/link"))).toBe("../none");
    expect(lstatSync(join(root, "srv/all/deep/below")).isDirectory()).toBe(true);
    expect(of("srv/all/deep/one.txt")).toMatchObject({ uid: 7, gid: 8 });
    expect(readdirSync(join(root, "srv/texts")).toSorted()).toEqual(["one.txt", "two.txt"]);
    expect(of("srv/texts")).toMatchObject({ uid: 1001, gid: 100 });
    expect(of("srv/texts/one.txt")).toMatchObject({ uid: 1001, gid: 100 });
    expect(of("srv/renamed")).toMatchObject({ uid: 5, gid: 100, mode: 0o600 });
    expect(contentOf(root, "srv/all/not.md")).toBe("3");
    expect(existsSync(join(root, "out"))).toBe(false);

    const again = await build(steps, SCRATCH, [stage]);
    expect(again.events.every(({ kind }) => kind === "step" || kind === "cached")).toBe(true);
  });

  test("come of images of a registry too, whatever runs in these, and never of this machine", async () => {
    writeFileSync(join(current.dir, "own"), "of this machine");
    current.registry.add("v1", {
      layers: [
        tarOf([
          { name: "bin/tool", content: "tool", mode: 0o755 },
          { name: "out", flag: "2", linkName: `../../../../../../..${current.dir}` },
          { name: "own", flag: "2", linkName: `${current.dir}/own` },
        ]),
      ],
    });
    const base: ImageBase = { kind: "registry", ref: `${current.registry.host}/org/name:v1` };
    const from = (source: string) =>
      build([{ kind: "copy", stage: 0, sources: [source], target: "/x/" }], SCRATCH, [
        { base, steps: [] },
      ]);
    const built = await from("bin/tool");
    expect(contentOf(built.root, "x/tool")).toBe("tool");
    expect(built.events.filter(({ kind }) => kind === "step")).toHaveLength(4);
    for (const way of ["/out/own", "own", "bin/none", "none*"]) {
      await expect(from(way)).rejects.toThrow(/there is no \S+ in what is copied from/);
    }
  });

  test("are added for whom they are said to be", async () => {
    const added = files("/srv/app", [{ name: "a/b", content: "x" }]);
    const { root } = await build([
      users(),
      { ...added, owner: "ann:wheel", mode: 0o640 } as ImageStep,
    ]);
    for (const path of ["srv", "srv/app", "srv/app/a/b"]) {
      expect(lstatSync(join(root, path))).toMatchObject({ uid: 1001, gid: 10 });
    }
    expect(lstatSync(join(root, "srv/app/a/b")).mode & 0o7777).toBe(0o640);
    const unknown = build([users(), { ...added, owner: "bob" } as ImageStep]);
    await expect(unknown).rejects.toThrow(/there is no user bob in the image's \/etc\/passwd/);
  });

  test("and commands have a user, a shell and variables of their own", async () => {
    const script = `const fs = require("fs"); fs.writeFileSync("/tmp/x", ""); console.log([
      process.getuid(), process.getgid(), process.getgroups(), process.env.HOME, process.env.ARG,
    ].join(" "))`;
    const run = {
      kind: "run",
      commands: [script],
      shell: ["/opt/flotilla/bin/node", "-e"],
      env: { ARG: "of the step" },
    } as const;
    const built = await build([users(), { ...run, user: "ann" }]);
    expect(logOf(built)).toContain("1001 100 100,10 /home/ann of the step");
    const plain = await build([
      users(),
      { ...run, user: "1234:10" },
      run,
      code("console.log(process.env.ARG)"),
    ]);
    expect(logOf(plain)).toContain("1234 10 10 / of the step");
    expect(logOf(plain).some((line) => line.startsWith("0 0 ") && line.includes("/root"))).toBe(
      true,
    );
    expect(logOf(plain).at(-1)).toBe("undefined");
    for (const [user, said] of [
      ["bob", /no user bob/],
      ["ann:none", /no group none/],
    ] as const) {
      const error: unknown = await build([users(), { ...run, user }]).catch(
        (thrown: unknown) => thrown,
      );
      expect((error as StepFailedError).lastLines.join("\n")).toMatch(said);
    }
  });
});

test("two builds that want the same layer make it once", async () => {
  const step = code(`console.log("made " + Math.random());`);
  const [one, two] = await Promise.all([build([step]), build([step])]);
  const made = [one, two].flatMap(logOf).filter((line) => line.startsWith("made "));
  expect(new Set(made).size).toBe(1);
});

test("cancelling ends all that the step has started, at once", async () => {
  const cancelling = new AbortController();
  const events: BuildProgress[] = [];
  const step = code(
    'console.log("running"); setInterval(() => {}, 1_000); await new Promise(() => {});',
  );
  const definition = { version: 1, base: SCRATCH, steps: [step] } as const;
  const onEvent = (event: BuildProgress): void => {
    events.push(event);
    if (event.kind === "log" && event.text === "running") cancelling.abort(new Error("no more"));
  };
  const attempt = current.builder.build({ definition, signal: cancelling.signal, onEvent });
  await expect(attempt).rejects.toThrow("no more");
  await untilNothingRuns();
});

/** Processes that were started for the folder of these tests. */
async function untilNothingRuns(): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  for (;;) {
    const listed = await outputOf("ps", ["-eo", "args"]);
    if (!listed.includes(current.dir) && readdirSync(join(current.dir, "work")).length === 0)
      return;
    expect(performance.now(), listed).toBeLessThan(deadlineMs);
  }
}

async function outputOf(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  await new Promise((resolve) => child.once("close", resolve));
  return text;
}
