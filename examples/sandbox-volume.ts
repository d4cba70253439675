/** A folder given to code that nobody has read: `node examples/sandbox-volume.ts`. */
import { Sandbox, Volume } from "flotilla";

const code = `
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
const lines = readdirSync("in").map((name) => name + ": " + readFileSync("in/" + name, "utf8").length);
writeFileSync("report.txt", lines.join(", "));
`;

const data = Volume.fromName("example-data", { createIfMissing: true });
await data.writeFile("in/poem.txt", "so much depends");
await data.writeFile("in/note.txt", "this is just to say");
const sandbox = await Sandbox.create({ volumes: { "/data": data }, timeoutMs: 60_000 });
try {
  await sandbox.files.write("/tmp/main.mjs", code);
  const program = await sandbox.exec(["node", "/tmp/main.mjs"], { workdir: "/data" });
  const { exitCode, stderr } = await program.output();
  if (exitCode !== 0) throw new Error(stderr);
  // Others see it from here on; without this, some seconds later.
  await sandbox.commit(data);
} finally {
  await sandbox.terminate();
}
console.log(new TextDecoder().decode(await data.readFile("report.txt")));
