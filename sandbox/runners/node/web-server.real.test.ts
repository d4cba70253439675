import { createServer, type AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { useTestRunner } from "./test-runner.ts";

const under = useTestRunner();

/** A port of this machine that is free now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const boot = (server: object, enter = ""): ReturnType<typeof under.runner.boot> =>
  under.runner.boot(
    "site",
    `import { createServer } from "node:http";
     export const site = () => undefined;
     site.program = {
       isWeb: true, server: ${JSON.stringify(server)}, enter: async (snapshot) => { ${enter} },
     };`,
  );

describe("a server in the runner", () => {
  test("is ready when its port is open, and not before", async () => {
    const port = await freePort();
    const enter = `
      if (snapshot) return;
      setTimeout(() => { console.log("opens"); createServer().listen(${port}, "127.0.0.1"); }, 150);
    `;
    expect(await boot({ port }, enter)).toMatchObject({ type: "ready" });
    expect(under.runner.lines.map(({ text }) => text.trim())).toEqual(["opens"]);
  });

  test("may be a program, which prints as the function does", async () => {
    const port = await freePort();
    const code = `console.log("up"); require("node:net").createServer().listen(${port}, "127.0.0.1")`;
    const command = [process.execPath, "-e", code];
    expect(await boot({ port, command })).toMatchObject({ type: "ready" });
    expect(under.runner.stdout).toBe("up\n");
  });

  test.each([
    [[process.execPath, "-e", "process.exit(3)"], "ended with code 3 before it listened"],
    [[process.execPath, "-e", "process.abort()"], "before it listened"],
    [["/no/such/program"], "cannot run /no/such/program"],
  ])("%j is a start that fails", async (command, reason) => {
    const port = await freePort();
    const heard = await boot({ port, command });
    expect(heard).toMatchObject({ type: "load_failed" });
    expect(JSON.stringify(heard)).toContain(reason);
  });

  test("a program that ends later takes its container with it", async () => {
    const port = await freePort();
    const code =
      `require("node:net").createServer(() => setTimeout(() => process.exit(4), 100))` +
      `.listen(${port}, "127.0.0.1")`;
    await boot({ port, command: [process.execPath, "-e", code] });
    expect((await under.runner.exited).exitCode).toBe(4);
  });
});
