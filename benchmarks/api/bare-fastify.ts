/** A fastify that does nothing, in a process of its own: the yardstick of requests. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { ROOT } from "../../scripts/steps.ts";

const SOURCE = `
import fastify from "fastify";
const app = fastify();
app.get("/noop", async (request, reply) => reply.code(204).send());
console.log(await app.listen({ host: "127.0.0.1", port: 0 }));
`;

/** Starts it; gives its address and what ends it. */
export async function startFastify(): Promise<{ readonly url: string; readonly stop: () => void }> {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", SOURCE], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [url] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  return { url, stop: () => void child.kill() };
}
