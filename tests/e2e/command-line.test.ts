import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runFlotilla } from "../../scripts/platform/platform-process.ts";
import { TestPlatform } from "../support/platform.ts";

const GREETER = (word: string): string => `import { App } from "flotilla";
const app = new App("greeter");
export const greet = app.function({ cpu: 0.1 }, (name: string) => {
  console.log("greeting", name);
  return "${word} " + name;
});
`;

describe("the command line", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start(["--local-gpus", "L4:2"]);
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  it("runs a file's function, streams what it prints, and uses an edit at once", () => {
    const file = platform.write("greeter.ts", GREETER("hello"));
    const first = platform.tryCli("run", `${file}::greet`, "ada");
    expect(first).toMatchObject({ status: 0 });
    expect(first.stdout).toContain("hello ada");
    expect(first.stdout + first.stderr).toContain("greeting ada");
    platform.write("greeter.ts", GREETER("goodbye"));
    const second = platform.tryCli("run", `${file}::greet`, "ada");
    expect(second.stdout).toContain("goodbye ada");
  });

  it("says where a file does not compile, with exit code 2", () => {
    const file = platform.write("broken-syntax.ts", "export const x: = 3;\n");
    const result = platform.tryCli("run", file);
    expect(result.status).toBe(2);
    expect(result.stderr).toMatch(/broken-syntax\.ts:1:\d+/);
  });

  it("names the nearest GPU when one is unknown, with exit code 2", () => {
    const file = platform.write(
      "typo.ts",
      `import { App } from "flotilla";
const app = new App("typo");
export const f = app.function({ gpu: "H10O" as "H100" }, () => 1);
`,
    );
    const result = platform.tryCli("deploy", file);
    expect(result.status).toBe(2);
    expect(result.stderr).toMatch(/H10O.*did you mean "H100"/s);
  });

  it("refuses a spec out of range and names the field", () => {
    const file = platform.write(
      "range.ts",
      `import { App } from "flotilla";
const app = new App("range");
export const f = app.function({ scaledownWindowMs: 5 }, () => 1);
`,
    );
    const result = platform.tryCli("deploy", file);
    expect(result.status).toBe(2);
    expect(result.stderr).toMatch(/scaledownWindowMs/);
  });

  it("exits with 1 when the user's code fails and 4 when there is no such thing", () => {
    platform.cli("deploy", "tests/fixtures/misbehave.ts");
    expect(platform.tryCli("call", "misbehave", "throws", "1").status).toBe(1);
    expect(platform.tryCli("call", "misbehave", "nothing").status).toBe(4);
  });

  it("says how to start a server when none runs, with exit code 6", () => {
    const result = runFlotilla(join(platform.scratchDir, "elsewhere"), ["app", "list"], {
      FLOTILLA_SERVER_URL: "http://127.0.0.1:9",
      FLOTILLA_TOKEN: "fl_x",
    });
    expect(result.status).toBe(6);
    expect(result.stderr).toMatch(/flotilla up/);
  });

  it("prints no colours where nobody sees them, also on a build server", () => {
    const env = { CI: "true", FLOTILLA_SERVER_URL: "http://127.0.0.1:9", FLOTILLA_TOKEN: "fl_x" };
    const { stderr } = runFlotilla(platform.scratchDir, ["app", "list"], env);
    expect(stderr).toMatch(/^error\[unreachable\]/);
  });

  it("exits with 3 when the token is wrong", () => {
    const wrong = { FLOTILLA_TOKEN: `fl_${"a".repeat(52)}`, FLOTILLA_SERVER_URL: "" };
    wrong.FLOTILLA_SERVER_URL = platform.running.serverUrl;
    const result = runFlotilla(platform.scratchDir, ["app", "list"], wrong);
    expect(result.status).toBe(3);
  });

  it("lists apps, containers and nodes as JSON, and names emulated GPUs as such", () => {
    platform.cli("deploy", "tests/fixtures/misbehave.ts");
    const { apps } = JSON.parse(platform.cli("app", "list", "--json")) as {
      apps: { app: string }[];
    };
    expect(apps.map(({ app }) => app)).toContain("misbehave");
    const { nodes } = JSON.parse(platform.cli("node", "list", "--json")) as {
      nodes: { gpu: string; emulated: boolean }[];
    };
    expect(nodes).toEqual([expect.objectContaining({ gpu: "L4", gpuCount: 2, emulated: true })]);
    expect(platform.cli("node", "list")).toMatch(/emulated/i);
    expect(JSON.parse(platform.cli("container", "list", "--json"))).toHaveProperty("containers");
  });

  it("stops an app", () => {
    platform.cli("deploy", platform.write("greeter.ts", GREETER("hello")));
    expect(platform.cli("call", "greeter", "greet", '"ada"')).toContain("hello ada");
    platform.cli("app", "stop", "greeter");
    expect(platform.tryCli("call", "greeter", "greet", '"ada"').status).toBe(4);
  });

  it("finds this machine fit", () => {
    const report = JSON.parse(platform.tryCli("doctor", "--json").stdout) as {
      checks: { name: string; state: string }[];
    };
    expect(report.checks.length).toBeGreaterThan(5);
  });
});
