/**
 * The files that a rented machine fetches to become a node: the agent, its process that serves
 * images and its runners, each one file, the Node that this server runs on, and the add-on that
 * memory snapshots need, where this server has a compiler: rented machines have none.
 *
 * They are made once for each run of the server, when first needed, and named by their SHA-256.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import {
  GUEST_FILE,
  guestProgram,
  ENTROPY_ADDON_FILE,
  entropyAddon,
  LAZYFS_FILE,
  PYTHON_RUNNER_FILE,
  pythonRunnerArchive,
  RUNNER_FILE,
  runnerBundle,
} from "../../sandbox/index.ts";
import { AGENT_FILE, NODE_FILE, type AgentFile } from "./user-data.ts";

const AGENT_MAIN = fileURLToPath(new URL("../../sandbox/agent/main.ts", import.meta.url));
const LAZYFS_MAIN = fileURLToPath(new URL("../../sandbox/lazyfs/main.ts", import.meta.url));

/** CommonJS modules of the bundle want `require` for what Node has built in. */
const BANNER =
  'import { createRequire as flotillaRequire } from "node:module";' +
  "const require = flotillaRequire(import.meta.url);";

/** A file that can be sent. */
export interface ServedFile extends AgentFile {
  readonly byteCount: number;
  /** Its bytes from the beginning; each call gives a stream of its own. */
  readonly open: () => Readable;
}

/** The files of one server. */
export class AgentFiles {
  #files: Promise<readonly ServedFile[]> | undefined;

  /** All files, made on the first call. Rejects when they cannot be made; the next call retries. */
  async all(): Promise<readonly ServedFile[]> {
    this.#files ??= makeFiles();
    try {
      return await this.#files;
    } catch (error) {
      this.#files = undefined;
      throw error;
    }
  }

  /** The file of a hash; undefined for one that is not ours. */
  async find(sha256: string): Promise<ServedFile | undefined> {
    return (await this.all()).find((file) => file.sha256 === sha256);
  }
}

async function makeFiles(): Promise<readonly ServedFile[]> {
  const node = await nodeFile();
  // One after the other: each ends esbuild's process when it is done.
  const agent = await moduleOf(AGENT_MAIN);
  const lazyfs = await moduleOf(LAZYFS_MAIN);
  const runner = await runnerBundle();
  const guest = await guestProgram();
  // Built for the Node that goes with it, and for no other.
  const entropy = node === undefined ? undefined : await entropyAddon();
  return [
    ...(node === undefined ? [] : [node]),
    ...(entropy === undefined ? [] : [servedBytes(ENTROPY_ADDON_FILE, entropy)]),
    servedBytes(AGENT_FILE, agent),
    servedBytes(LAZYFS_FILE, lazyfs),
    servedBytes(RUNNER_FILE, runner),
    servedBytes(PYTHON_RUNNER_FILE, await pythonRunnerArchive()),
    ...(guest === undefined ? [] : [servedBytes(GUEST_FILE, guest)]),
  ];
}

/** A program with all that it imports, as the bytes of one module. */
async function moduleOf(main: string): Promise<Uint8Array> {
  const { build, stop } = await import("esbuild");
  const { outputFiles } = await build({
    entryPoints: [main],
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    // Its runner comes ready-made beside it; ws does without its native helpers.
    external: ["esbuild", "bufferutil", "utf-8-validate"],
    banner: { js: BANNER },
    minify: true,
    write: false,
    logLevel: "silent",
  });
  await stop();
  const [bundle] = outputFiles;
  if (bundle === undefined) throw new Error("esbuild gave no output for the agent");
  return bundle.contents;
}

/** The Node of this server, where rented machines can run it: x64 Linux. */
async function nodeFile(): Promise<ServedFile | undefined> {
  if (process.platform !== "linux" || process.arch !== "x64") return undefined;
  const path = await realpath(process.execPath);
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  const { size: byteCount } = await stat(path);
  const sha256 = hash.digest("hex");
  return { name: NODE_FILE, sha256, byteCount, open: () => createReadStream(path) };
}

function servedBytes(name: string, bytes: Uint8Array): ServedFile {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const open = (): Readable => Readable.from([bytes]);
  return { name, sha256, byteCount: bytes.byteLength, open };
}
