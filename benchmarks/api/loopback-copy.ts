/** A bare copy over the loopback, from this process to another: the yardstick of payloads. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";

/** Takes bytes into memory, as a receiver of payloads does, and says when it has them. */
const RECEIVER = `
import { createServer } from "node:net";
const wanted = Number(process.argv[1]);
const server = createServer((socket) => {
  let bytes = new Uint8Array(wanted);
  let at = 0;
  socket.on("data", (chunk) => {
    bytes.set(chunk, at);
    at += chunk.byteLength;
    if (at < wanted) return;
    at = 0;
    bytes = new Uint8Array(wanted);
    socket.write("k");
  });
  socket.on("close", () => process.exit());
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

/** Milliseconds for `count` copies of so many bytes, one after the other. */
export async function copyOverLoopback(byteCount: number, count: number): Promise<number> {
  const receiver = spawn(
    process.execPath,
    ["--input-type=module", "--eval", RECEIVER, String(byteCount)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const [port] = (await once(createInterface({ input: receiver.stdout }), "line")) as [string];
  const socket = connect(Number(port), "127.0.0.1");
  const bytes = new Uint8Array(byteCount).fill(1);
  const copy = async (): Promise<void> => {
    socket.write(bytes);
    await once(socket, "data");
  };
  // The first one compiles.
  await copy();
  const startedAtMs = performance.now();
  for (let done = 0; done < count; done += 1) await copy();
  const durationMs = performance.now() - startedAtMs;
  socket.destroy();
  await once(receiver, "exit");
  return durationMs;
}
