import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestPlatform } from "../support/platform.ts";

describe("functions that misbehave", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start();
    platform.cli("deploy", "tests/fixtures/misbehave.ts");
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  it("gives back the user's own error, with its stack in the user's source", async () => {
    const throws = await platform.lookup<[number], never>("misbehave", "throws");
    const error = await throws.remote(7).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: "RangeError", message: "no room for 7" });
    expect((error as Error).stack).toMatch(/tests\/fixtures\/misbehave\.ts:11:\d+/);
    expect((error as Error).cause).toMatchObject({ message: "the box is full" });
  });

  it("survives a function that prints 100 MB, and says what was dropped", async () => {
    const prints = await platform.lookup<[number], string>("misbehave", "prints");
    expect(await prints.remote(100)).toBe("printed");
    await expect
      .poll(() => platform.tryCli("app", "logs", "misbehave").stderr)
      .toMatch(/MiB of output dropped/);
  });

  it("fails the input of a function that exits, and only that one", async () => {
    const exits = await platform.lookup<[number], never>("misbehave", "exits");
    const error = await exits.remote(3).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "container_exited" });
    expect((error as Error).message).toMatch(/3/);
    const double = await platform.lookup<[number], number>("misbehave", "double");
    expect(await double.remote(21)).toBe(42);
  });

  it("ends a function that never returns at its time limit", async () => {
    const never = await platform.lookup<[], never>("misbehave", "never");
    const error = await never.remote().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "timed_out" });
    expect((error as Error).message).toMatch(/1.5|1,?500/);
  });

  it("names what cannot be serialised", async () => {
    const unserialisable = await platform.lookup<[], unknown>("misbehave", "unserialisable");
    const error = await unserialisable.remote().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "not_serializable" });
    expect((error as Error).message).toMatch(/callback/);
  });

  it("fails the calls of a function whose module does not load", async () => {
    const file = platform.write(
      "broken.ts",
      `import { App } from "flotilla";
const app = new App("broken");
export const fine = app.function({ cpu: 0.1 }, () => 1);
if (process.env["FLOTILLA_CONTAINER_ID"] !== undefined) throw new TypeError("not in here");
`,
    );
    platform.cli("deploy", file);
    const fine = await platform.lookup<[], number>("broken", "fine");
    await expect(fine.remote()).rejects.toThrow("not in here");
  });
});
