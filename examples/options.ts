/**
 * One function with other options, per call: each set of options has containers of its own.
 *
 *     flotilla run examples/options.ts
 */
import { App } from "flotilla";

const app = new App("options");

export const describe = app.function(
  { cpu: 1, memoryMiB: 256, env: { EDITION: "small" } },
  (name: string) => `${name}: ${process.env["EDITION"] ?? "unset"}`,
);

app.localEntrypoint(async () => {
  console.log(await describe.remote("as written"));
  const larger = describe.withOptions({ memoryMiB: 512, env: { EDITION: "large" } });
  console.log(await larger.remote("with options"));
  console.log(describe.local("on this machine"));
});
