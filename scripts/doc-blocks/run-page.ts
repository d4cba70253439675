/** Runs the blocks of one page against a platform, in a folder with what the page's scene says. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { runEnvironment } from "../platform/platform-process.ts";
import type { DocBlock } from "./read-blocks.ts";
import {
  makePageFolder,
  runBlock,
  runShell,
  type BlockOutcome,
  type PageFolder,
} from "./run-blocks.ts";
import { SCENES, type Scene } from "./scenes.ts";

export type { BlockOutcome };

/** The address that pages show, and that of the platform that they run on. */
const SHOWN_URL = "http://127.0.0.1:7070";

export interface PageOptions {
  readonly page: string;
  readonly blocks: readonly DocBlock[];
  readonly platform: {
    readonly scratchDir: string;
    readonly running: {
      readonly serverUrl: string;
      readonly emulators: Readonly<Record<string, string>>;
    };
  };
  /** Only blocks that name this test. */
  readonly runBy?: string;
}

/** What became of each block. @throws Error for the first that fails, with what it printed */
export function runPage(options: PageOptions): readonly BlockOutcome[] {
  const { page, blocks, platform, runBy } = options;
  const scene = SCENES[page] ?? {};
  const dir = join(platform.scratchDir, "pages", page);
  const folder: PageFolder = {
    dir,
    environment: { ...environmentOf(options, scene, dir), ...scene.environment },
    ...(runBy === undefined ? {} : { runBy }),
  };
  makePageFolder(folder);
  for (const { notes, code } of blocks) {
    if (notes.file !== undefined) writeFileSync(join(dir, notes.file), code);
  }
  for (const [name, text] of Object.entries(scene.files ?? {})) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  const here = (text: string): string => text.replaceAll(SHOWN_URL, platform.running.serverUrl);
  if (runBy !== undefined) {
    return blocks.map((block) => runBlock({ ...block, code: here(block.code) }, folder));
  }
  runShell(scene.before ?? "true", `before ${page}`, folder);
  try {
    const outcomes = blocks.map((block) => runBlock({ ...block, code: here(block.code) }, folder));
    runShell(here(scene.after ?? "true"), `after ${page}`, folder);
    return outcomes;
  } finally {
    if (scene.startsPlatform === true) runShell("flotilla down", `the end of ${page}`, folder);
  }
}

function environmentOf({ platform }: PageOptions, scene: Scene, dir: string): NodeJS.ProcessEnv {
  const { emulators } = platform.running;
  const base = runEnvironment(platform.scratchDir);
  const clouds: NodeJS.ProcessEnv = {};
  for (const [cloud, url] of Object.entries(emulators)) clouds[cloud.toUpperCase()] = url;
  return {
    ...base,
    ...clouds,
    HOME: dir,
    ...(scene.startsPlatform === true
      ? { FLOTILLA_HOME: join(dir, "home"), FLOTILLA_PORT: "0" }
      : {}),
  };
}
