/**
 * Runs the commands shown in `docs/planning.md` and puts what they print below them.
 *
 * A command is a `console` block whose first line starts with `$ `; it runs in `examples/plans`.
 *
 *     node scripts/refresh-planning-page.ts [--check]     with --check: exits with 1 if any differs
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./steps.ts";

const PAGE = join(ROOT, "docs/planning.md");
const FOLDER = join(ROOT, "examples/plans");
const BLOCK = /(```console[^\n]*)\n\$ ((?:.*\\\n)*.*)\n([^]*?)```/g;

const page = readFileSync(PAGE, "utf8");
if (page.match(BLOCK) === null) throw new Error(`no command is shown in ${PAGE}`);
const refreshed = page.replace(BLOCK, (_block, fence: string, command: string) => {
  return `${fence}\n$ ${command}\n${outputOf(command)}\`\`\``;
});
if (!process.argv.includes("--check")) {
  writeFileSync(PAGE, refreshed);
} else if (withoutTimes(refreshed) !== withoutTimes(page)) {
  console.error("docs/planning.md: a command prints something else than the page shows");
  process.exitCode = 1;
}

function outputOf(command: string): string {
  const program = `"${process.execPath}" "${join(ROOT, "sdk/bin/flotilla.mjs")}"`;
  const script = `flotilla() { ${program} "$@"; }\n${command}`;
  const ran = spawnSync("sh", ["-c", script], { cwd: FOLDER, encoding: "utf8" });
  // What goes to stderr beside a result is progress, which depends on the machine.
  const text = (ran.status === 0 ? ran.stdout : ran.stdout + ran.stderr).trimEnd();
  return text === "" ? "" : `${text}\n`;
}

function withoutTimes(text: string): string {
  return text.replace(/ in [\d,]+ ms /g, " in N ms ");
}
