import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ignoring } from "./ignore.ts";
import { entriesOfDir, entryOfFile, placeOf } from "./local-files.ts";
import { resolveImage } from "./resolve-image.ts";
import { writeArchives, type Archive, type ArchiveEntry } from "./write-tar.ts";
import { Image } from "../../image.ts";
import { Secret } from "../../secret.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-files-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function write(name: string, text = name): void {
  const path = join(dir, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
}

const namesOf = async (ignore: readonly string[]): Promise<readonly string[]> =>
  (await entriesOfDir(dir, ignore)).map(({ name }) => name);

test("a folder's contents come by name, links as links, what is ignored not at all", async () => {
  for (const name of ["b/two", "a", "node_modules/x/y", "b/node_modules/z"]) write(name);
  symlinkSync("/etc/passwd", join(dir, "link"));
  const entries = await entriesOfDir(dir, ["**/node_modules"]);
  expect(entries.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
    "file a",
    "dir b",
    "file b/two",
    "link link",
  ]);
});

test("a pattern with ! takes back what one before it left out", async () => {
  for (const name of ["data/big", "data/keep/one", "src/a"]) write(name);
  expect(await namesOf(["data", "!data/keep"])).toEqual([
    "data/keep",
    "data/keep/one",
    "src",
    "src/a",
  ]);
});

test.each<[readonly string[], string, boolean]>([
  [["*.log"], "a.log", true],
  [["*.log"], "b/a.log", false],
  [["**/*.log"], "b/c/a.log", true],
  [["**/*.log"], "a.log", true],
  [["b"], "b/c", true],
  [["b"], "bc", false],
  [["./b/"], "b", true],
  [["a?c"], "abc", true],
  [["a?c"], "a/c", false],
  [["a+b"], "a+b", true],
  [["a.b"], "axb", false],
  [["**"], "any/thing", true],
  [["*", "!a"], "a", false],
])("%j and %s: %s", (patterns, path, isOut) => {
  expect(ignoring(patterns)(path)).toBe(isOut);
});

test("equal files give equal archives, whenever they were written and whoever may read them", async () => {
  write("a", "one");
  const hashOf = async (): Promise<readonly string[]> => {
    const hashes: string[] = [];
    for await (const { sha256 } of writeArchives(await entriesOfDir(dir, []))) hashes.push(sha256);
    return hashes;
  };
  const before = await hashOf();
  rmSync(join(dir, "a"));
  write("a", "one");
  chmodSync(join(dir, "a"), 0o600);
  expect(await hashOf()).toEqual(before);
  chmodSync(join(dir, "a"), 0o700);
  expect(await hashOf()).not.toEqual(before);
});

test("what does not fit into one archive goes into several, and a file alone may be too large", async () => {
  const file = (name: string, byteCount: number): ArchiveEntry => ({
    kind: "file",
    name,
    byteCount,
    isExecutable: false,
    read: () => Promise.resolve(new Uint8Array(byteCount)),
  });
  const archives: Archive[] = [];
  const large = 30 * 1024 * 1024;
  for await (const one of writeArchives([file("a", large), file("b", large)])) archives.push(one);
  expect(archives).toHaveLength(2);
  const tooLarge = writeArchives([file("c", 60 * 1024 * 1024)]).next();
  await expect(tooLarge).rejects.toThrow(/c has 63 MB/);
});

test("a file goes to its target, or into one that ends with a slash", () => {
  expect(placeOf("x/a.txt", "/srv/")).toEqual({ dir: "/srv/", name: "a.txt" });
  expect(placeOf("x/a.txt", "/srv/b.txt")).toEqual({ dir: "/srv/", name: "b.txt" });
});

test("what is not there is named", async () => {
  await expect(entriesOfDir(join(dir, "none"), [])).rejects.toThrow(/there is no folder .*none/);
  await expect(entryOfFile(dir, "a")).rejects.toThrow(/there is no file/);
});

test("a Dockerfile's copies become archives of its context, without what it ignores", async () => {
  for (const name of ["app/main.py", "app/secret.env", "a.txt", "b.txt"]) write(name);
  write(".dockerignore", "# secrets\n**/*.env\n");
  write("Dockerfile", "FROM python:3.12\nWORKDIR /srv\nCOPY app .\nCOPY *.txt ./texts/\nCMD x\n");
  const uploaded: Archive[] = [];
  const notices: string[] = [];
  const definition = await resolveImage(Image.fromDockerfile(join(dir, "Dockerfile")).recipe, {
    upload: (archive) => Promise.resolve(void uploaded.push(archive)),
    progress: (line) => void notices.push(line),
  });
  expect(definition).toEqual({
    version: 1,
    base: { kind: "registry", ref: "python:3.12" },
    steps: [
      { kind: "workdir", path: "/srv" },
      { kind: "files", target: "/srv/", archives: [uploaded[0]?.sha256] },
      { kind: "files", target: "/srv/texts/", archives: [uploaded[1]?.sha256] },
    ],
  });
  const texts = uploaded.map(({ bytes }) => new TextDecoder().decode(bytes));
  expect(texts[0]).toContain("main.py");
  expect(texts[0]).not.toContain("secret");
  expect(texts[1]).toMatch(/a\.txt.*b\.txt/s);
  expect(notices).toHaveLength(1);
});

test("a Dockerfile copies nothing from outside its context", async () => {
  write("inner/Dockerfile", "FROM a\nCOPY ../x /\n");
  write("x");
  const resolving = resolveImage(Image.fromDockerfile(join(dir, "inner/Dockerfile")).recipe, {
    upload: () => Promise.resolve(),
    progress: () => undefined,
  });
  await expect(resolving).rejects.toThrow(/Dockerfile:2: \.\.\/x is outside the context/);
});

test("stages that are copied from travel once, and those that nothing needs do not", async () => {
  write("a.txt");
  write("b.env");
  write(".dockerignore", "*.env");
  write(
    "Dockerfile",
    `FROM one AS one
RUN first
FROM two AS unused
RUN never
FROM one AS three
COPY --from=ghcr.io/org/tools:1 /bin/x /bin/
FROM four
COPY --from=three --chown=me /a /b
COPY --from=one /c /d
COPY --from=three /e /f
COPY --chmod=600 a.txt /g/
`,
  );
  const recipe = Image.fromDockerfile(join(dir, "Dockerfile"), {
    secret: Secret.fromName("login"),
  }).recipe;
  const uploaded: Archive[] = [];
  const options = {
    upload: (archive: Archive) => Promise.resolve(void uploaded.push(archive)),
    progress: () => undefined,
  };
  const run = { kind: "run", commands: ["first"], shell: ["/bin/sh", "-c"] };
  const copy = { kind: "copy" };
  expect(await resolveImage(recipe, options)).toEqual({
    version: 1,
    base: { kind: "registry", ref: "four" },
    steps: [
      { ...copy, stage: 1, sources: ["/a"], target: "/b", owner: "me" },
      { ...copy, stage: 2, sources: ["/c"], target: "/d" },
      { ...copy, stage: 1, sources: ["/e"], target: "/f" },
      { kind: "files", target: "/g/", archives: [uploaded[0]?.sha256], mode: 0o600 },
    ],
    stages: [
      // The login goes to the registry that is named, and not to Docker Hub.
      { base: { kind: "registry", ref: "ghcr.io/org/tools:1", secret: "login" }, steps: [] },
      {
        base: { kind: "registry", ref: "one" },
        steps: [run, { ...copy, stage: 0, sources: ["/bin/x"], target: "/bin/" }],
      },
      { base: { kind: "registry", ref: "one" }, steps: [run] },
    ],
  });
  const resolved = async (text: string) => {
    write("Dockerfile", text);
    return resolveImage(recipe, options);
  };
  await expect(resolved("FROM a.b/c\nCOPY --from=d.e/f /x /y")).rejects.toThrow(
    /images of a\.b and d\.e, and its secret is for one registry/,
  );
  await expect(resolved("FROM a\nCOPY b.env /")).rejects.toThrow(
    /Dockerfile:2: there is no b\.env in .*; \.dockerignore leaves it out/,
  );
});
