import { spawn, type ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestPlatform } from "../support/platform.ts";

const CLI = join(import.meta.dirname, "../../sdk/bin/flotilla.mjs");

describe("flotilla serve", () => {
  const platform = new TestPlatform();
  const dir = platform.scratchDir;
  const file = join(dir, "served.ts");
  let output = "";
  let serving: ChildProcess;

  const write = (word: string): void =>
    writeFileSync(join(dir, "word.ts"), `export const word = "${word}";`);

  beforeAll(async () => {
    await platform.start();
    write("one");
    writeFileSync(
      file,
      `import { App } from "flotilla";
       import { word } from "./word.ts";
       const app = new App("served");
       const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
       export const say = app.webEndpoint({ cpu: 0.1, memoryMiB: 128 }, async (request) => {
         const { searchParams } = new URL(request.url);
         await pause(Number(searchParams.get("ms") ?? 0));
         console.log("said " + word);
         return word;
       });`,
    );
  });

  afterAll(async () => {
    serving.kill("SIGKILL");
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const url = (): string => `${platform.running.serverUrl}/web/default/served~dev/say`;
  const say = async (): Promise<string> => (await fetch(url())).text();
  const shown = (): string => output;
  const until = { timeout: 20_000, interval: 100 };

  it("deploys, follows its file, keeps what runs, and takes the app away at ctrl-C", async () => {
    serving = spawn(process.execPath, [CLI, "serve", file], {
      env: process.env,
    });
    const exited = new Promise((resolve) => serving.once("exit", resolve));
    for (const stream of [serving.stdout, serving.stderr]) {
      stream?.on("data", (chunk: Buffer) => (output += chunk.toString()));
    }
    await expect.poll(shown, until).toContain(url());
    expect(await say()).toBe("one");
    await expect.poll(shown, until).toContain("said one");

    // A request that runs while the file changes is answered by what it was sent to.
    const long = fetch(`${url()}?ms=4000`);
    await expect
      .poll(
        async () =>
          (
            await platform.get<{ containers: { state: string }[] }>("/v1/containers")
          ).containers.some(({ state }) => state === "busy"),
        until,
      )
      .toBe(true);
    write("two");
    await expect.poll(say, until).toBe("two");
    expect(await (await long).text()).toBe("one");

    // What does not compile changes nothing.
    writeFileSync(join(dir, "word.ts"), "export const word = ;");
    await expect.poll(shown, until).toContain("What was served before still is.");
    expect(await say()).toBe("two");
    write("three");
    await expect.poll(say, until).toBe("three");

    // One app is left once nothing runs in those before.
    const running = async (): Promise<number> => {
      const { apps } = await platform.get<{ apps: { app: string; state: string }[] }>("/v1/apps");
      return apps.filter(({ app, state }) => app === "served" && state === "running").length;
    };
    await expect.poll(running, until).toBe(1);
    serving.kill("SIGINT");
    expect(await exited).toBe(130);
    expect(await running()).toBe(0);
    expect((await fetch(url())).status).toBe(404);
  });
});
