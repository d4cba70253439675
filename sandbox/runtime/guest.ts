/** A runner for tests of runtimes: does what it is told over its channel, a line at a time. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RUNNER_FILE } from "../runners/bundle-runner.ts";

const GUEST = `
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { createConnection, Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { createInterface } from "node:readline";

const channel = new Socket({ fd: 0, readable: true, writable: true });
const held = [];
const attempt = (act) => { try { return act(); } catch (error) { return error.code ?? String(error); } };
const commands = {
  echo: (value) => value,
  env: () => ({ ...process.env }),
  whoami: () => ({ uid: process.getuid(), cwd: process.cwd(), args: process.execArgv }),
  print: ({ stdout, stderr }) => { writeSync(1, stdout); writeSync(2, stderr); return "printed"; },
  exit: (code) => process.exit(code),
  abort: () => process.kill(process.pid, "SIGKILL"),
  spin: () => { for (;;) Math.sqrt(2); },
  list: (path) => attempt(() => readdirSync(path).length >= 0 && "listed"),
  read: (path) => attempt(() => readFileSync(path, "utf8")),
  write: (path) => attempt(() => (writeFileSync(path, "x"), "written")),
  interfaces: () => Object.keys(networkInterfaces()),
  connect: ([host, port]) => new Promise((resolve) => {
    const socket = createConnection({ host, port });
    socket.once("connect", () => resolve("connected"));
    socket.once("error", (error) => resolve(error.code));
  }),
  fill: (mebibytes) => {
    for (let file = 0; file < mebibytes; file += 1) {
      const code = attempt(() => writeFileSync("/tmp/fill-" + file, Buffer.alloc(1 << 20, 1)));
      if (code !== undefined) return { file, code };
    }
    return { file: mebibytes, code: "none" };
  },
  heap: () => { for (;;) held.push(Array.from({ length: 1e5 }, () => ({}))); },
  buffers: () => { for (;;) held.push(Buffer.alloc(8 << 20, 1)); },
  child: (script) => {
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "inherit", "inherit"] });
    return child.pid;
  },
  bomb: async (count) => {
    let started = 0;
    for (let process_ = 0; process_ < count; process_ += 1) {
      const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
      child.on("error", () => undefined);
      if (child.pid !== undefined) started += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return started;
  },
};
createInterface({ input: channel }).on("line", async (line) => {
  const { command, value } = JSON.parse(line);
  channel.write(JSON.stringify({ value: await commands[command](value) }) + "\\n");
});
channel.on("end", () => process.exit(0));
channel.write(JSON.stringify({ value: "started" }) + "\\n");
`;

/** Writes the guest into `dir`, where a runtime takes it for its runner. */
export async function writeGuest(dir: string): Promise<string> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, RUNNER_FILE), GUEST);
  return dir;
}
