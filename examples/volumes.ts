/** Two functions that share a folder. Run it with `flotilla run examples/volumes.ts`. */
import { appendFile, mkdir, readdir, readFile } from "node:fs/promises";
import { App, Volume } from "flotilla";

const app = new App("volumes");
const notes = Volume.fromName("example-notes", { createIfMissing: true });
const spec = { volumes: { "/notes": notes } };

export const write = app.function(spec, async (topic: string, line: string): Promise<number> => {
  await mkdir("/notes/topics", { recursive: true });
  await appendFile(`/notes/topics/${topic}.txt`, `${line}\n`);
  // Others see it from here on; without this, some seconds later.
  const { version } = await notes.commit();
  return version;
});

export const read = app.function(spec, async (): Promise<Record<string, string>> => {
  // Brings what others committed since this container began.
  await notes.reload();
  const topics: Record<string, string> = {};
  for (const name of await readdir("/notes/topics")) {
    topics[name] = await readFile(`/notes/topics/${name}`, "utf8");
  }
  return topics;
});

export const main = app.localEntrypoint(async () => {
  await Promise.all([write.remote("birds", "a heron"), write.remote("fish", "two carp")]);
  console.log(await read.remote());
  // From outside the containers too.
  for (const { path, bytes } of await notes.list("topics")) console.log(`${path}: ${bytes} bytes`);
});
