/** The user's file and all it imports as one ES module, with a map back to its sources. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { dirname, extname, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build, type BuildFailure, type Message, type Plugin } from "esbuild";
import { UsageError } from "../errors.ts";
import { withoutSources, type BundleMap } from "./source-map.ts";

/** What is uploaded and imported. */
export interface Bundle {
  /** The absolute path of the user's file. */
  readonly file: string;
  readonly code: Uint8Array<ArrayBuffer>;
  /** SHA-256 of `code` in hexadecimal: equal sources give equal bundles. */
  readonly sha256: string;
  readonly buildMs: number;
}

/** CommonJS packages inside an ES module still call `require`, for Node's own modules. */
const REQUIRE_BANNER =
  'import { createRequire as __flotillaRequire } from "node:module";' +
  "const require = __flotillaRequire(import.meta.url);";

/** In a checkout the SDK is bundled from its sources, in the package from what was built. */
const SDK_EXTENSION = extname(import.meta.url);

/**
 * Bundles `path`, the SDK included.
 *
 * @throws UsageError when there is no such file, or it does not compile: then with file, line,
 *   column and the line itself for each mistake.
 */
export async function bundleFile(path: string): Promise<Bundle> {
  const file = resolve(path);
  if (!existsSync(file)) throw new UsageError(`there is no file ${path}`);
  const startedAtMs = performance.now();
  const outfile = `${file}.bundle.mjs`;
  const { outputFiles } = await buildOrExplain(file, outfile);
  const code = outputFiles.find(({ path: output }) => output === outfile)?.text ?? "";
  const map = outputFiles.find(({ path: output }) => output === `${outfile}.map`)?.text ?? NO_MAP;
  const bytes = new TextEncoder().encode(withSourceMap(code, map, file));
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { file, code: bytes, sha256, buildMs: performance.now() - startedAtMs };
}

/**
 * A package that is imported inside a function, by `await import("name")`, and is not installed
 * here is left to the function's image. What is imported at the top must be here.
 */
const packagesOfImages: Plugin = {
  name: "packages-of-images",
  setup: (bundling) => {
    bundling.onResolve({ filter: /^[^./]/ }, async ({ path, kind, pluginData, ...rest }) => {
      if (kind !== "dynamic-import" || pluginData === LOOKED_UP) return undefined;
      const { importer, resolveDir } = rest;
      const found = await bundling.resolve(path, {
        kind,
        importer,
        resolveDir,
        pluginData: LOOKED_UP,
      });
      return found.errors.length === 0 ? undefined : { path, external: true };
    });
  },
};
const LOOKED_UP = Symbol("looked up");

async function buildOrExplain(file: string, outfile: string) {
  try {
    return await build({
      entryPoints: [file],
      outfile,
      write: false,
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node24",
      minify: false,
      sourcemap: "external",
      sourcesContent: false,
      alias: sdkAliases(),
      banner: { js: REQUIRE_BANNER },
      plugins: [packagesOfImages],
      logLevel: "silent",
    });
  } catch (error) {
    if (!isBuildFailure(error)) throw error;
    const mistakes = error.errors.map(explain).join("\n");
    throw new UsageError(`${shownPath(file)} does not compile:\n${mistakes}`);
  }
}

function sdkAliases(): Record<string, string> {
  const sourceOf = (path: string): string =>
    fileURLToPath(new URL(`../${path}${SDK_EXTENSION}`, import.meta.url));
  return { flotilla: sourceOf("index"), "flotilla/protocol": sourceOf("protocol/index") };
}

/** Where the SDK's own files are. */
const SDK_FOLDER = fileURLToPath(new URL("../", import.meta.url));
const NO_MAP = '{"version":3,"sources":[],"names":[],"mappings":""}';

/**
 * Appends the map with absolute sources, so that stacks name the user's files wherever it runs.
 * The SDK's lines are not in it: a container reads the map before the user's first line runs,
 * and most of it would be the SDK's.
 */
function withSourceMap(code: string, mapJson: string, file: string): string {
  const absolute = (source: string): string => resolve(dirname(file), source);
  const map = withoutSources(JSON.parse(mapJson) as BundleMap, (source) => {
    const path = absolute(source);
    return path.startsWith(SDK_FOLDER) && path !== file;
  });
  const sources = map.sources.map((source) => pathToFileURL(absolute(source)).href);
  const inline = Buffer.from(JSON.stringify({ ...map, sources })).toString("base64");
  return `${code}\n//# sourceMappingURL=data:application/json;base64,${inline}\n`;
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && "errors" in error && Array.isArray(error.errors);
}

function explain({ text, location }: Message): string {
  if (location === null) return `  ${text}`;
  const number = String(location.line);
  const gutter = " ".repeat(number.length);
  const marker = `${" ".repeat(location.column)}${"^".repeat(Math.max(1, location.length))}`;
  return [
    `  ${shownPath(location.file)}:${number}:${location.column + 1}: ${text}`,
    `    ${number} | ${location.lineText}`,
    `    ${gutter} | ${marker}`,
  ].join("\n");
}

/** Relative for what is below the current folder, else absolute. */
function shownPath(path: string): string {
  const below = relative(process.cwd(), path);
  return below.startsWith("..") ? resolve(path) : below;
}
