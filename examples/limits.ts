/**
 * Memory and cores beyond what is reserved, up to a limit.
 *
 *     flotilla run examples/limits.ts
 */
import { App } from "flotilla";

const app = new App("limits");

/** Reserves little, which is what it mostly needs, and now and then holds more. */
export const hold = app.function(
  { cpu: { request: 0.1, limit: 1 }, memoryMiB: { request: 128, limit: 512 } },
  (mebibytes: number) => Buffer.alloc(mebibytes * 1024 * 1024, 1).byteLength / 1024 / 1024,
);

app.localEntrypoint(async () => {
  console.log(`${await hold.remote(16)} MiB, of what is reserved`);
  console.log(`${await hold.remote(300)} MiB, more than that`);
});
