/** Images in status, from a user's file to programs that run in gVisor. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { blocksOf } from "../../scripts/doc-blocks/read-blocks.ts";
import { runPage } from "../../scripts/doc-blocks/run-page.ts";
import { ROOT } from "../../scripts/steps.ts";
import { TestPlatform } from "../support/platform.ts";

const FIXTURE = join(import.meta.dirname, "../fixtures/images.ts");
/** The Debian base is made once, by a hundred installation scripts in gVisor. */
const BUILD_MS = 480_000;
const platform = new TestPlatform();

beforeAll(async () => platform.start());

afterAll(async () => {
  expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
});

interface ImageListing {
  readonly images: readonly { readonly imageId: string; readonly usedBy: readonly string[] }[];
  readonly layerCount: number;
}

test(
  "functions run the programs of their images, and equal images are built once",
  async () => {
    const built = platform.tryCli("image", "build", FIXTURE, "--json");
    expect(built.stderr).toMatch(/\[1\/\d\] Debian bookworm/);
    expect(built.stderr).toContain("    a line of the build\n");
    expect(built.status).toBe(0);
    const { images } = JSON.parse(built.stdout) as { readonly images: readonly string[] };
    expect(images).toHaveLength(2);

    const deployed = platform.tryCli("deploy", FIXTURE);
    expect(deployed.status).toBe(0);
    expect(deployed.stderr).toContain("The image was there already");

    const query = await platform.lookup<[string, string], unknown>("images", "query");
    expect(await query.remote('{"a":[1,2]}', ".a[1]")).toEqual({
      answer: "2",
      variables: ["of the image", "own"],
      cwd: "/srv/data",
      user: 65_534,
    });
    const mixed = await platform.lookup<[], unknown>("images", "mixed");
    expect(await mixed.remote()).toEqual({
      python: "1.16.0",
      milliseconds: 120_000,
      built: "while building",
      hasFile: true,
    });

    platform.cli("image", "prune");
    const listed = await platform.get<ImageListing>("/v1/images");
    // Other tests leave apps of their own.
    const users = listed.images.flatMap(({ usedBy }) => usedBy);
    expect(users.filter((user) => user.startsWith("images/")).toSorted()).toEqual([
      "images/mixed",
      "images/query",
    ]);
    expect(await query.remote("[]", "length")).toMatchObject({ answer: "0" });
  },
  BUILD_MS,
);

test(
  "a Dockerfile of several stages becomes the image that it says",
  () => {
    mkdirSync(join(platform.scratchDir, "docker"));
    platform.write("docker/.dockerignore", "*.env\n");
    platform.write("docker/kept.txt", "kept");
    platform.write("docker/secret.env", "secret");
    platform.write(
      "docker/Dockerfile",
      `ARG NAME=nobody
FROM scratch AS build
ARG NAME
SHELL ["/opt/flotilla/bin/node", "-e"]
USER 1001
RUN <<SCRIPT
  const fs = require("fs");
  fs.writeFileSync("/tmp/who", process.env.NAME + process.getuid());
SCRIPT
USER 0
RUN require("fs").mkdirSync("/out")
RUN require("fs").writeFileSync("/out/made", "by " + process.env.NAME)
FROM scratch
ENV NAME=outside
COPY --from=build --chown=12:34 /out/made /srv/
COPY . /srv/context/
COPY <<NOTE /srv/note.txt
for $NAME
NOTE
WORKDIR /srv
`,
    );
    const file = platform.write(
      "docker/app.ts",
      `import { readdirSync, readFileSync, statSync } from "node:fs";
       import { App, Image } from "flotilla";
       const app = new App("docker");
       const image = Image.fromDockerfile(${JSON.stringify(join(platform.scratchDir, "docker/Dockerfile"))}, {
         args: { NAME: "ann" },
       });
       export const read = app.function({ image }, () => [
         readFileSync("made", "utf8"), statSync("made").uid, readFileSync("/srv/note.txt", "utf8"),
         readdirSync("/srv/context").join(), process.cwd(),
       ]);
       export const main = app.localEntrypoint(async () => console.log(JSON.stringify(await read.remote())));`,
    );
    const { stderr, stdout, status } = platform.tryCli("run", file);
    expect({ status, stdout: stdout.trim() }, stderr).toEqual({
      status: 0,
      stdout: '["by ann",12,"for outside\\n",".dockerignore,Dockerfile,app.ts,kept.txt","/srv"]',
    });
    expect(stderr).toMatch(/Dockerfile:5: USER 1001 holds for the RUN after it/);
  },
  BUILD_MS,
);

test(
  "examples/images.ts runs as it is written",
  () => {
    const { status, stdout, stderr } = platform.tryCli("run", join(ROOT, "examples/images.ts"));
    expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: '"Earth"\n' });
  },
  BUILD_MS,
);

test.each(["images.md", "python.md"])(
  "the blocks of docs/%s that need an image run",
  (page) => {
    const blocks = blocksOf(join(ROOT, "docs", page), page);
    const runBy = "tests/e2e/images.test.ts";
    const mine = blocks.filter(
      ({ notes }) => notes["run-by"] === runBy || notes.file !== undefined,
    );
    expect(runPage({ page, blocks: mine, platform, runBy })).toContain("run");
  },
  BUILD_MS,
);

test(
  "a step that fails says so with its last lines, and what is before it is kept",
  () => {
    const file = platform.write(
      "failing.ts",
      `import { App, Image } from "flotilla";
       const app = new App("failing");
       export const f = app.function(
         { image: Image.debianSlim().runCommands("echo kept").runCommands("echo about to fail; exit 7") },
         () => 1,
       );`,
    );
    const first = platform.tryCli("run", file);
    expect(first.status).toBe(1);
    expect(first.stderr).toContain("build_failed");
    expect(first.stderr).toMatch(/ended with 7.*\n.*exit 7\n\s+about to fail/);
    expect(first.stderr).not.toMatch(/\n\s+at \S+/);
    const second = platform.tryCli("run", file);
    expect(second.stderr).toMatch(/runCommands echo kept\n\s+cached/);
  },
  BUILD_MS,
);

test(
  "a step reaches neither this machine nor its neighbours",
  () => {
    const { port } = new URL(platform.running.serverUrl);
    const probe = `const net = require("node:net");
      const direct = net.connect(${port}, "127.0.0.1").on("error", (e) => console.log("direct", e.code));
      const http = require("node:http");
      for (const host of ["127.0.0.1:${port}", "169.254.169.254", "2852039166", "[::ffff:7f00:1]:${port}"]) {
        http.get({ host: "127.0.0.1", port: 3128, path: "http://" + host + "/health" },
          (r) => { r.resume(); console.log("proxy", host, r.statusCode); });
      }`;
    const file = platform.write(
      "probing.ts",
      `import { App, Image } from "flotilla";
       const app = new App("probing");
       const probe = ${JSON.stringify(probe)};
       export const f = app.function(
         { image: Image.debianSlim().runCommands("node -e '" + probe.replaceAll("\\n", " ") + "'") },
         () => "ran",
       );`,
    );
    const { status, stderr, stdout } = platform.tryCli("run", file);
    expect(stderr).toContain("direct ECONNREFUSED");
    expect(stderr.match(/proxy \S+ 502/g)).toHaveLength(4);
    expect({ status, stdout }).toEqual({ status: 0, stdout: "ran\n" });
  },
  BUILD_MS,
);

test(
  "unknown packages are named, and nothing is left of the app",
  () => {
    const file = platform.write(
      "unknown.ts",
      `import { App, Image } from "flotilla";
     const app = new App("unknown");
     export const f = app.function({ image: Image.debianSlim().aptInstall("no-such-package-here") }, () => 1);`,
    );
    const { status, stderr } = platform.tryCli("deploy", file);
    expect(status).toBe(1);
    expect(stderr).toContain("Unable to locate package no-such-package-here");
    expect(platform.cli("app", "list", "--json")).not.toContain('"unknown"');
  },
  BUILD_MS,
);

test(
  "a Python function imports what pip installed into its image",
  () => {
    platform.write("versions.py", "import six\n\ndef version():\n    return six.__version__\n");
    const file = platform.write(
      "versions.ts",
      `import { App, Image } from "flotilla";
       const app = new App("versions");
       const image = Image.debianSlim().pipInstall("six==1.16.0");
       export const version = app.function<[], string>(
         { runtime: "python", source: "versions.py", handler: "version", image });`,
    );
    const { status, stdout, stderr } = platform.tryCli("run", file);
    expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: "1.16.0\n" });
  },
  BUILD_MS,
);
