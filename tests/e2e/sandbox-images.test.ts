/** Images of sandboxes' files, through the whole platform. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Image, Sandbox } from "../../sdk/index.ts";
import { TestPlatform } from "../support/platform.ts";

const platform = new TestPlatform();
const BUILD_MS = 240_000;
/** Has Node and nothing else, so that it is built at once. */
const image = Image.fromScratch()
  .runFunction(() => {
    const { mkdirSync, writeFileSync } = process.getBuiltinModule("node:fs");
    mkdirSync("/srv/data", { recursive: true });
    for (const name of ["kept", "gone", "changed"]) writeFileSync(`/srv/data/${name}`, name);
  })
  .env({ STAGE: "base" })
  .workdir("/srv");

beforeAll(async () => platform.start());

afterAll(async () => {
  expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
});

interface ImageListing {
  readonly images: readonly { readonly imageId: string; readonly steps: readonly string[] }[];
}

interface Pruned {
  readonly images: readonly string[];
  readonly freedByteCount: number;
}

const SEEN = `const fs = require("fs");
const text = (path) => fs.readFileSync(path, "utf8");
console.log(JSON.stringify([
  fs.readdirSync("/srv/data").join(), text("/srv/data/changed"), text("/srv/data/new/one"),
  process.env.STAGE,
]))`;
const EXPECTED = ["changed,kept,new", "changed again", "1", "base"];

test(
  "what a sandbox wrote and removed is what others start from, here and by its id",
  async () => {
    const sandbox = await Sandbox.create({ image, diskMiB: 64, memoryMiB: 256 });
    await sandbox.files.remove("/srv/data/gone");
    await sandbox.files.write("/srv/data/changed", "changed again");
    await sandbox.files.makeFolder("/srv/data/new");
    await sandbox.files.write("/srv/data/new/one", "1");
    const made = await sandbox.snapshotFilesystem();
    // It runs on, and what it writes now is its own.
    await sandbox.files.write("/srv/data/later", "");
    const imageId = made.imageId ?? "";
    await sandbox.terminate();

    const other = await Sandbox.create({ image: made, memoryMiB: 256 });
    const seen = await (await other.exec(["node", "-e", SEEN])).output();
    expect(JSON.parse(seen.stdout), seen.stderr).toEqual(EXPECTED);
    await other.terminate();

    const file = platform.write(
      "from-id.ts",
      `import { execFileSync } from "node:child_process";
       import { App, Image } from "flotilla";
       const app = new App("from-id");
       const image = Image.fromId(${JSON.stringify(imageId)}).env({ MORE: "1" });
       export const look = app.function({ image }, (code: string) =>
         execFileSync("node", ["-e", code], { encoding: "utf8" }));
       app.localEntrypoint(async () => console.log(await look.remote(${JSON.stringify(SEEN)})));`,
    );
    const ran = platform.tryCli("run", file);
    expect(ran.status, ran.stderr).toBe(0);
    expect(JSON.parse(ran.stdout)).toEqual(EXPECTED);

    const prune = (...options: readonly string[]) =>
      JSON.parse(platform.cli("image", "prune", "--json", ...options)) as Pruned;
    const would = prune("--dry-run");
    expect(would.images.length).toBeGreaterThan(0);
    expect(would.freedByteCount).toBeGreaterThan(0);
    expect(prune("--dry-run").images).toEqual(would.images);
    expect(prune().images).toEqual(would.images);
    expect(prune().images).toEqual([]);
    const { images } = await platform.get<ImageListing>("/v1/images");
    const kept = images.find((each) => each.imageId === imageId);
    expect(kept?.steps.at(-1)).toBe(`files of ${sandbox.sandboxId}`);
    platform.cli("image", "delete", imageId.slice(0, 12));
    await expect(Sandbox.create({ image: made })).rejects.toThrow(/there is no image/);
  },
  BUILD_MS,
);

test(
  "an image of files that were written over such an image has both, and what was removed is gone",
  async () => {
    const first = await Sandbox.create({ image, diskMiB: 64, memoryMiB: 256 });
    await first.files.write("/srv/data/first", "first");
    await first.files.write("/srv/data/both", "first");
    const one = await first.snapshotFilesystem();
    await first.terminate();

    // Built upon, and with a disk over all of it.
    const built = one.runFunction(() => {
      process.getBuiltinModule("node:fs").writeFileSync("/srv/data/built", "built");
    });
    const second = await Sandbox.create({ image: built, diskMiB: 64, memoryMiB: 256 });
    await second.files.remove("/srv/data/first");
    await second.files.write("/srv/data/both", "second");
    await second.files.write("/srv/data/built", "second");
    const two = await second.snapshotFilesystem();
    await second.terminate();

    const textsIn = async (from: Image): Promise<unknown> => {
      const sandbox = await Sandbox.create({ image: from, diskMiB: 16, memoryMiB: 256 });
      const list = `const fs = require("fs"); const dir = "/srv/data/";
        console.log(JSON.stringify(fs.readdirSync(dir).map((name) =>
          name + "=" + fs.readFileSync(dir + name, "utf8"))))`;
      const { stdout, stderr } = await (await sandbox.exec(["node", "-e", list])).output();
      await sandbox.terminate();
      return stderr === "" ? JSON.parse(stdout) : stderr;
    };
    const base = ["changed=changed", "gone=gone", "kept=kept"];
    const both = [
      ["both=first", "first=first"],
      ["both=second", "built=second"],
    ] as const;
    for (const [at, from] of [one, two].entries()) {
      expect(await textsIn(from)).toEqual([...base, ...(both[at] ?? [])].toSorted());
    }
  },
  BUILD_MS,
);

test("a sandbox that cannot write, and one that has ended, say so", async () => {
  const sandbox = await Sandbox.create({ memoryMiB: 256 });
  await expect(sandbox.snapshotFilesystem()).rejects.toThrow(
    /nothing can be written to its root; make it with Sandbox.create/,
  );
  await sandbox.terminate();
  await expect(sandbox.snapshotFilesystem()).rejects.toThrow(/has ended/);
});
