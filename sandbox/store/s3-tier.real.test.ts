/**
 * The S3 tier against a server of others, gofakes3, where it is installed:
 * `go install github.com/johannesboyne/gofakes3/cmd/gofakes3@latest`,
 * with `GOFAKES3` naming the program if it is not on the PATH.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createServer, type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe } from "vitest";
import { describeChunkStore } from "./chunk-store-conformance.ts";
import { openS3Objects, type S3Objects } from "./s3-objects.ts";
import { createS3Tier } from "./s3-tier.ts";

const PROGRAM = process.env["GOFAKES3"] ?? "gofakes3";
const isInstalled = spawnSync(PROGRAM, ["-h"]).error === undefined;
const TRIES_MAX = 200;

if (!isInstalled) {
  process.stderr.write(
    "\nSKIPPED: the S3 tier was not tried against a real server. Install one: go install " +
      "github.com/johannesboyne/gofakes3/cmd/gofakes3@latest (or name it in GOFAKES3)\n\n",
  );
}

describe.skipIf(!isInstalled)("against gofakes3", () => {
  let server: ChildProcess;
  let endpoint = "";
  const open: S3Objects[] = [];
  let stores = 0;

  beforeAll(async () => {
    const port = await freePort();
    endpoint = `http://127.0.0.1:${port}`;
    const args = ["-backend", "memory", "-host", `127.0.0.1:${port}`, "-initialbucket", "chunks"];
    server = spawn(PROGRAM, args, { stdio: "ignore" });
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      if (
        await fetch(endpoint).then(
          () => true,
          () => false,
        )
      )
        return;
      await sleep(25);
    }
    throw new Error(`${PROGRAM} did not come up at ${endpoint}`);
  });

  afterAll(() => {
    for (const objects of open) objects.close();
    server.kill("SIGKILL");
  });

  describeChunkStore("a real S3", async () => {
    stores += 1;
    const objects = await openS3Objects({
      bucket: "chunks",
      prefix: `store-${stores}`,
      endpoint,
      credentials: { accessKeyId: "key", secretAccessKey: "secret" },
    });
    open.push(objects);
    return createS3Tier(objects);
  });
});

/** A port that was free a moment ago: gofakes3 does not say which one it chose itself. */
async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
