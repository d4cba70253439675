/** What a page takes for granted: files, variables, what was done before; and what comes of it. */
import { join } from "node:path";
import { ROOT } from "../steps.ts";

/** Around the blocks of one page. */
export interface Scene {
  /** Files in the folder in which the page's commands are typed. */
  readonly files?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** Typed before the first block. */
  readonly before?: string;
  /** Typed after the last block; fails the page when it fails. */
  readonly after?: string;
  /** The page starts and stops a platform by itself. */
  readonly startsPlatform?: boolean;
}

const app = (name: string, functions: string): string =>
  `import { App } from "flotilla";
const app = new App("${name}");
${functions}
`;

/** A world so small that it is flown in a second. */
const WORLD = `name: tiny
description: One function on one kind of machine.
hours: 4
functions:
  - id: chat
    gpu: [H100]
    serviceSeconds: 5
    coldSeconds: 10
    demand: { meanPerSecond: 0.05 }
market:
  machines:
    - { cloud: aws, region: us-east-1, instanceType: p5.4xlarge, purchase: on-demand, gpu: H100, usdPerGpuHour: 6.88, bootSeconds: 150 }
`;
const DEMAND = "time_s,function,rate_rps\n0,chat,0.1\n600,chat,0.2\n";

const plans = (to: string, from: string): string =>
  `cp "${join(ROOT, "examples/plans", from)}" ${to}\n`;

/** By page; a page without a scene needs nothing. */
export const SCENES: Readonly<Record<string, Scene>> = {
  "README.md": {
    startsPlatform: true,
    files: { "s.yaml": WORLD, "slow-cloud.yaml": WORLD },
    before:
      "flotilla up --emulated-clouds --detach\n" +
      plans("o.csv", "offers.csv") +
      plans("d.json", "demand.json"),
  },
  "calling.md": {
    before: `cat > search.ts <<END
${app("search", "export const embed = app.function({}, (text: string) => text.length);")}END
flotilla deploy search.ts`,
    after: "flotilla app stop search",
  },
  "deploying.md": {
    before: `for i in 1 2 3 4; do
cat > shop.ts <<END
${app("shop", "export const price = app.function({}, () => $i);")}END
flotilla deploy shop.ts > deployed.txt
done`,
    after: `[ "$(flotilla call shop price)" = 3 ]`,
  },
  "images.md": { files: { "password.txt": "secret\n" } },
  "quick-start.md": { startsPlatform: true, files: { "token.txt": "fl_token\n" } },
  "scheduling.md": { after: "flotilla call report check" },
  "secrets.md": { files: { "token.txt": "hf_token\n" }, environment: { API_KEY: "four" } },
  "simulating.md": {
    files: { "examples/scenarios/launch-day.yaml": WORLD, "demand.csv": DEMAND },
    before: plans("offers.csv", "offers.csv"),
  },
  "snapshots.md": {
    after: `flotilla call texts keywords "the road to the sea" --json | grep -q '"road"'`,
  },
  "tuning.md": { files: { "examples/scenarios/launch-day.yaml": WORLD } },
  "usage.md": {
    before: "flotilla workspace create team-a",
    after: `flotilla workspace delete team-a --yes
[ "$(flotilla call billing-example embed '["four"]' --json | tr -d ' \\n')" = "[4]" ]`,
  },
  "volumes.md": {
    files: { "photos/heron.txt": "a heron\n" },
    after: `flotilla call shelf store model '"weights"'`,
  },
  "workspaces.md": { after: "flotilla workspace delete team-a --yes" },
  "web.md": {
    after: `curl -sf http://127.0.0.1:7070/web/default/site/ | grep -q hello`,
  },
};
