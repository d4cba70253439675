import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import ts from "typescript";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { main } from "../main.ts";
import { TEMPLATES } from "./templates.ts";

let folder: string;
let out: string;
let err: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "flotilla-init-"));
  out = "";
  err = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => ((err += String(text)), true));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const init = (...args: string[]): Promise<number> => main(["node", "flotilla", "init", ...args]);

test("every template type-checks", { timeout: 60_000 }, async () => {
  const targets = TEMPLATES.map(({ name }) => ({ name, target: join(folder, name) }));
  for (const { name, target } of targets) expect(await init(name, target)).toBe(0);
  const [first = ""] = targets.map(({ target }) => target);
  const read = ts.readConfigFile(join(first, "tsconfig.json"), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(read.config, ts.sys, first);
  const sdk = resolve(import.meta.dirname, "../..");
  const files = targets.map(({ target }) => join(target, "main.ts"));
  const program = ts.createProgram(files, {
    ...options,
    // The package as a checkout has it; that it resolves when installed is held by its packing.
    paths: { flotilla: [join(sdk, "index.ts")] },
    allowImportingTsExtensions: true,
    types: ["node"],
    typeRoots: [resolve(sdk, "../node_modules/@types")],
  });
  for (const file of files) expect(program.getSourceFile(file)).toBeDefined();
  const mistakes = ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
  expect(mistakes).toEqual([]);
});

test("a project names the package's own version, and a name that a package may have", async () => {
  const target = join(folder, "My Täst!");
  expect(await init("hello", target, "--json")).toBe(0);
  const files = ["main.ts", "package.json", "tsconfig.json"];
  expect(JSON.parse(out)).toEqual({ template: "hello", folder: target, files });
  expect(JSON.parse(readFileSync(join(target, "package.json"), "utf8"))).toMatchObject({
    name: "my-t-st",
    dependencies: { flotilla: packageJson.version },
  });
});

test("nothing is written where one of the files is there already", async () => {
  writeFileSync(join(folder, "tsconfig.json"), "mine");
  expect(await init("hello", folder)).toBe(2);
  expect(err).toContain(`${folder} has tsconfig.json already; nothing was written`);
  expect(err).toContain("next:");
  expect(readdirSync(folder)).toEqual(["tsconfig.json"]);
  expect(readFileSync(join(folder, "tsconfig.json"), "utf8")).toBe("mine");
});

test("an unknown template is a mistake that names the nearest one", async () => {
  expect(await init("helo", folder)).toBe(2);
  expect(err).toContain('there is no template "helo": did you mean "hello"?');
  expect(readdirSync(folder)).toEqual([]);
});

test("the list names every template and writes nothing", async () => {
  expect(await init("--list", "--json")).toBe(0);
  const { templates } = JSON.parse(out) as { templates: { name: string }[] };
  expect(templates.map(({ name }) => name)).toEqual(TEMPLATES.map(({ name }) => name));
});
