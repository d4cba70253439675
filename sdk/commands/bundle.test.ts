import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UsageError } from "../errors.ts";
import { bundleFile } from "./bundle.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "flotilla-bundle-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const APP = `import { App } from "flotilla";
import { double } from "./double.ts";
const app = new App("shop");
export const price = app.function({}, (x: number): number => double(x));
`;

describe("a bundle", () => {
  test("holds the user's files and the SDK, and is the same for the same sources", async () => {
    write("double.ts", "export function double(x: number) { return 2 * x; }\n");
    const path = write("shop.ts", APP);
    const first = await bundleFile(path);
    const text = new TextDecoder().decode(first.code);
    expect(text).toContain("function double(x)");
    expect(text).toContain('Symbol.for("flotilla.apps")');
    expect(text).not.toMatch(/from "flotilla"/);
    expect((await bundleFile(path)).sha256).toBe(first.sha256);
    write("double.ts", "export function double(x: number) { return x + x; }\n");
    expect((await bundleFile(path)).sha256).not.toBe(first.sha256);
  });

  test("maps back to the user's lines, by absolute addresses", async () => {
    const double = write("double.ts", "\n\nexport function double(x: number) { return 2 * x; }\n");
    const { code } = await bundleFile(write("mapped.ts", APP));
    const text = new TextDecoder().decode(code);
    const [, json = ""] = text.split("//# sourceMappingURL=data:application/json;base64,");
    const map = new SourceMap(JSON.parse(Buffer.from(json, "base64").toString()) as never);
    const line = text.split("\n").findIndex((each) => each.includes("function double"));
    expect(map.findEntry(line, 10)).toMatchObject({
      originalSource: pathToFileURL(double).href,
      originalLine: 2,
    });
  });
});

test("the map has the user's files and nothing of the SDK, which would make it large", async () => {
  write("double.ts", "export function double(x: number) { return 2 * x; }\n");
  const path = write("small.ts", APP);
  const text = new TextDecoder().decode((await bundleFile(path)).code);
  const [, json = ""] = text.split("//# sourceMappingURL=data:application/json;base64,");
  expect(json.length).toBeLessThan(10_000);
  const { sources } = JSON.parse(Buffer.from(json, "base64").toString()) as {
    readonly sources: readonly string[];
  };
  expect(sources.map((source) => source.split("/").at(-1)).toSorted()).toEqual([
    "double.ts",
    "small.ts",
  ]);
});

describe("a mistake", () => {
  test("is told with file, line, column and the line itself", async () => {
    const path = write("bad.ts", "const a = 1;\nconst b = a +* 2;\n");
    const bundling = bundleFile(path);
    await expect(bundling).rejects.toBeInstanceOf(UsageError);
    await expect(bundling).rejects.toThrow(`${path}:2:14: Unexpected "*"`);
    await expect(bundling).rejects.toThrow("    2 | const b = a +* 2;\n      |              ^");
  });

  test("an import that is not there is named", async () => {
    const path = write("lost.ts", 'import "./nowhere.ts";\n');
    await expect(bundleFile(path)).rejects.toThrow(/lost.ts:1:8: Could not resolve/);
  });

  test("a file that is not there is named", async () => {
    await expect(bundleFile("nowhere.ts")).rejects.toThrow("there is no file nowhere.ts");
  });
});
