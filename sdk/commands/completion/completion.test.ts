import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildProgram } from "../main.ts";
import { completionScript, installHint, SHELLS } from "./scripts.ts";
import { commandTree } from "./tree.ts";

const tree = commandTree(buildProgram());
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "flotilla-completion-"));
  writeFileSync(join(folder, "shop.ts"), "");
  writeFileSync(join(folder, "flotilla.bash"), completionScript("bash", tree));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What a real bash offers for a line whose last word is being typed. */
function offered(line: string): readonly string[] {
  const words = line.split(" ");
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const script = `source ./flotilla.bash
COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}
_flotilla; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const out = execFileSync("bash", ["--norc", "-c", script], { cwd: folder, encoding: "utf8" });
  return out.split("\n").filter((word) => word !== "");
}

describe("bash", () => {
  test.each([
    ["flotilla roll", []],
    ["flotilla dep", ["deploy"]],
    ["flotilla app hi", ["history"]],
    ["flotilla app history shop --j", ["--json"]],
    ["flotilla app rollback shop --strategy ", ["rolling", "recreate"]],
    ["flotilla deploy --strategy rec", ["recreate"]],
    ["flotilla deploy sh", ["shop.ts"]],
    ["flotilla app history sh", []],
    ["flotilla container lo", ["logs"]],
    ["flotilla nothing li", []],
  ])("after %j it offers %j", (line, words) => {
    expect(offered(line)).toEqual(words);
  });

  test("every command of the program is offered after those before it", () => {
    for (const { path, subcommands } of tree) {
      if (subcommands.length === 0) continue;
      const line = path === "" ? "flotilla " : `flotilla ${path} `;
      expect(offered(line)).toEqual(expect.arrayContaining(subcommands.map(({ text }) => text)));
    }
  });

  test("it is what completes the command", () => {
    const out = execFileSync("bash", ["--norc", "-c", "source ./flotilla.bash; complete -p"], {
      cwd: folder,
      encoding: "utf8",
    });
    expect(out).toContain("-F _flotilla flotilla");
  });
});

test("commands that a checkout adds are completed too", () => {
  const program = buildProgram({ extraCommands: (each) => (each.command("up"), {}) });
  const [root] = commandTree(program);
  expect(root?.subcommands.map(({ text }) => text)).toContain("up");
});

test("zsh loads what bash runs", () => {
  expect(completionScript("zsh", tree)).toContain("bashcompinit");
  expect(completionScript("zsh", tree)).toContain(completionScript("bash", tree));
});

test("fish has a line for every command and flag, its descriptions quoted", () => {
  const lines = completionScript("fish", tree).trimEnd().split("\n");
  const words = tree.reduce((sum, { subcommands, flags }) => {
    return sum + subcommands.length + flags.length;
  }, 0);
  const files = tree.filter(({ takesFiles }) => takesFiles).length;
  expect(lines).toHaveLength(1 + words + files);
  for (const line of lines) {
    const quotes = line.replaceAll("\\\\", "").replaceAll("\\'", "").split("'").length - 1;
    expect(quotes % 2, line).toBe(0);
  }
});

test("every shell has a hint, and another shell is a mistake that names them", () => {
  for (const shell of SHELLS) expect(installHint(shell)).toContain("flotilla completion");
  expect(installHint("csh")).toBeUndefined();
  expect(() => completionScript("csh", tree)).toThrow('there are no completions for "csh"');
});
