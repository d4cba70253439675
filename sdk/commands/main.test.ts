import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import packageJson from "../package.json" with { type: "json" };
import { buildProgram, main } from "./main.ts";

let out: string;
let err: string;
beforeEach(() => {
  out = "";
  err = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => ((err += String(text)), true));
});
afterEach(() => vi.restoreAllMocks());

const run = (...args: string[]): Promise<number> => main(["node", "flotilla", ...args]);

describe("help", () => {
  test("is on stdout, with examples and exit codes", async () => {
    expect(await run("--help")).toBe(0);
    expect(out).toContain("flotilla run square.ts::square 7");
    expect(out).toContain("6 server unreachable");
  });

  test.each(["run", "deploy", "call", "app", "container"])("exists for %s", async (command) => {
    expect(await run(command, "--help")).toBe(0);
    expect(out).toContain(`Usage: flotilla ${command}`);
  });

  test("every listing takes --json", () => {
    const listings = buildProgram()
      .commands.flatMap((command) => command.commands)
      .filter((command) => ["list", "logs"].includes(command.name()));
    expect(listings).toHaveLength(13);
    for (const listing of listings) {
      expect(listing.options.map(({ long }) => long)).toContain("--json");
    }
  });
});

describe("a mistake in the command", () => {
  test.each([
    [["rn"], /unknown command 'rn'\n\(Did you mean run\?\)/],
    [["run"], /missing required argument 'target'/],
    [["run", "a.ts", "--jso"], /unknown option '--jso'\n\(Did you mean --json\?\)/],
    [["app", "lst"], /unknown command 'lst'/],
    [[], /Usage: flotilla/],
  ])("%j is explained on stderr and ends with 2", async (args, message) => {
    expect(await run(...args)).toBe(2);
    expect(err).toMatch(message);
    expect(out).toBe("");
  });
});

test("the version is the package's", async () => {
  expect(await run("--version")).toBe(0);
  expect(out.trim()).toBe(packageJson.version);
});

test("a checkout adds its commands", () => {
  const program = buildProgram({ extraCommands: (each) => (each.command("up"), {}) });
  expect(program.commands.map((command) => command.name())).toContain("up");
});
