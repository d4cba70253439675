/** Every template of `flotilla init` runs as it is written. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { TEMPLATES } from "../../sdk/commands/init/templates.ts";
import { TestPlatform } from "../support/platform.ts";

const EXPECTED: Readonly<Record<string, string>> = {
  hello: "Hello, world!\n",
  "gpu-map": "[1,2,1,1,0]\n[0,2,0,2,0]\n[1,2,0,1,0]\n",
  class: "3\n0\n",
  python: '{"mean":4,"median":2.5}\n',
  sandbox: "exit code 0: 1 4 9\n",
};

const platform = new TestPlatform();
beforeAll(async () => {
  await platform.start(["--local-gpus", "L4:1"]);
});
afterAll(async () => {
  await platform.close();
});

it.each(TEMPLATES.map(({ name }) => name))("the template %s runs", (name) => {
  const folder = join(platform.scratchDir, name);
  platform.cli("init", name, folder);
  expect(platform.cli("run", "--quiet", join(folder, "main.ts"))).toBe(EXPECTED[name]);
});
