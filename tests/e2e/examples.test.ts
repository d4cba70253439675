/** Every program in examples/ runs as it is written, and prints what it says. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type * as sentiment from "../../examples/sentiment.ts";
import { ROOT } from "../../scripts/steps.ts";
import { App } from "../../sdk/index.ts";
import { TestPlatform } from "../support/platform.ts";

/** What each prints; a program without a line here fails. */
const PRINTS: Readonly<Record<string, RegExp>> = {
  "batched.ts": /^(?:a batch of \d\n)*1\n(?:.*\n)*8\n(?:.*\n)*RangeError: -1 has no square root\n/,
  "bytes.ts": /^Uint32Array 3907 3906\nSet\(5\) \{ 251, 252, 253, 254, 255 \}\n1970-01-01T/,
  "cancel.ts": /searching from 1000\n(?:.*\n)*Error: found elsewhere\n/,
  "class.ts": /^Wasser\neau\npain\n/m,
  "concurrency.ts": /^one has 3 letters\n(?:.*\n)*eight has 5 letters\n/,
  "conditions.ts": /^waited 10 ms, waited 10 ms\nended: deadline_exceeded\none call: true\n/,
  "cron.ts": /2026-03-02(?:.*\n)*.*totals/,
  "cron-report.ts":
    /badLineCount: 1,\n.*changeFraction: 1\.3125\n(?:.*\n)*4 sales, 18\.50 EUR, 131 % over(?:.*\n)+- tea: 14\.40/,
  "embeddings/embeddings.ts":
    /^8 passages of 4 files\nleft out: opening-hours.txt is not UTF-8\n0\.\d\d tides.txt: When sun and moon/,
  "errors.ts":
    /^\[ 1 \]\nRangeError: \{ is no JSON\nthe platform: timed_out\nthe platform: container_exited\n/,
  "generator.ts": /^words\ncome\none\nby\none\nnobody\nreads\n/,
  "large-values.ts": /^10000000 pixels, the last is 3\n/,
  "map.ts": /^2\n4\n4\n10 words\n2\n4\n8\n16\n32\n64\n2\nRangeError: there is nothing to count\n/,
  "nested.ts": /^2 3 5 7 11 13 17 19 23 29\n/,
  "network.ts": /^(?:http:\S+: refused\n){3}/,
  "limits.ts": /^16 MiB, of what is reserved\n300 MiB, more than that\n/,
  "options.ts": /^as written: small\nwith options: large\non this machine: unset\n/,
  "python/next-word.ts":
    /ValueError: I have never read "dog"\n(?:.*\n)*the cat sat \n(?:.*\n)*DONE!/,
  "python/web-endpoint.ts": /\{ to: 2, be: 2, or: 1, not: 1 \}\ndata: a, data: few, data: words\n/,
  "python/web-server.ts": /^you asked for \/hello\/you\n/m,
  "retries.ts": /try 3 did it\n/,
  "secrets.ts": /^[0-9a-f]{64}\n/m,
  "single-use.ts": /^1\n1\n1\n/,
  "sentiment.ts":
    /praise: place, soup, waiters\ncomplaint: rooms, manager\nneither: bus\n(?:.*\n)*co_\w+ has a model that was loaded at 20/,
  "snapshots.ts": /^10 \{ prime: 31,.*\n1000 \{ prime: 7927,.*\n100000 \{ prime: 1299721,/,
  "spawn.ts": /^(?:frame.*\n)*not yet\n(?:.*\n)*5 frames\n/,
  "square.ts": /7 squared is 49/,
  "thumbnail/thumbnail.ts":
    /image\/png: 100 x 75, grey: true\nbrightness at the top (?:2|3)\d, at the bottom 1\d\d\n422 .*it is no PNG/,
  "volumes.ts": /'a heron\\n'(?:.*\n)*topics\/birds.txt: \d+ bytes\ntopics\/fish.txt: \d+ bytes\n/,
  "web-endpoint.ts": /\{ text: 'Hello Ann' \}\ndata: 2, data: 1, data: 0\n/,
  "web-server.ts": /\{ path: '\/now', count: 2 \}\n/,
};
/** Not an app but a program of its own. */
const PROGRAMS: Readonly<Record<string, RegExp>> = {
  "sandbox.ts": /0 1 4 9 16 25/,
  "sandbox-image.ts": /^3 9 *\n7 49 *\n$/,
  "sandbox-volume.ts": /^note.txt: 19, poem.txt: 15\n$/,
  "sandbox-tunnel.ts": /^200 <h1>Made by a model<\/h1>\n$/,
};
/** What examples of several files import. */
const PARTS: readonly string[] = ["embeddings/embed.ts", "thumbnail/png.ts"];
/** Run where what they need is built: by images.test.ts, on the platform that has built the base. */
const ELSEWHERE: readonly string[] = ["images.ts"];

const EXAMPLES = join(ROOT, "examples");
const platform = new TestPlatform();
beforeAll(async () => {
  await platform.start(["--local-gpus", "H100:1"]);
});
afterAll(async () => {
  expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
});

test("each program is run by some test", () => {
  const files = readdirSync(EXAMPLES, { recursive: true, encoding: "utf8" });
  const known = [...Object.keys(PRINTS), ...Object.keys(PROGRAMS), ...PARTS, ...ELSEWHERE];
  const programs = files.filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"));
  expect(programs.toSorted()).toEqual(known.toSorted());
});

test("docs/examples.md names each program", () => {
  const page = readFileSync(join(ROOT, "docs/examples.md"), "utf8");
  const programs = [...Object.keys(PRINTS), ...Object.keys(PROGRAMS), ...ELSEWHERE];
  expect(programs.filter((file) => !page.includes(`](../examples/${file})`))).toEqual([]);
});

test.each(Object.entries(PRINTS))("%s runs as an app", (file, prints) => {
  expect(platform.cli("run", "--quiet", join(EXAMPLES, file))).toMatch(prints);
});

test("sentiment.ts has its model from memory in containers that did not load it", async () => {
  platform.cli("deploy", join(EXAMPLES, "sentiment.ts"));
  const Reviewer = await App.lookupClass<typeof sentiment.Reviewer>("sentiment", "Reviewer");
  const reviewer = Reviewer.instance();
  const containersOf = new Map<string, Set<string>>();
  const sharing = async (): Promise<number> => {
    const { container, loadedAt } = await reviewer.origin.remote();
    const containers = containersOf.get(loadedAt) ?? new Set();
    containersOf.set(loadedAt, containers.add(container));
    platform.cli("container", "stop", container);
    return containers.size;
  };
  await expect.poll(sharing, { timeout: 60_000, interval: 500 }).toBeGreaterThan(1);
  expect(await reviewer.rate.remote("A dirty room.")).toMatchObject({ about: ["room"] });
  platform.cli("app", "stop", "sentiment");
});

test.each(Object.entries(PROGRAMS))("%s runs as a program", (file, prints) => {
  const command = ["--conditions=flotilla-source", join(EXAMPLES, file)];
  const options = { cwd: ROOT, encoding: "utf8", timeout: 100_000 } as const;
  expect(execFileSync(process.execPath, command, options)).toMatch(prints);
});
