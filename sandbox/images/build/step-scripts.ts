/**
 * What the steps of a definition run: shell scripts and arguments, made of data that was checked.
 *
 * Names of packages and commands never become part of a script: they are its arguments.
 */
import type { ImageStep } from "../../../sdk/protocol/index.ts";
import { INPUTS_DIR } from "./run-step.ts";
import { NODE_PATH, RUNTIME_DIR } from "./runtime-paths.ts";

export interface StepScript {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly inputs?: Readonly<Record<string, Uint8Array>>;
}

/** Steps that run something. */
export type RunningStep = Extract<
  ImageStep,
  { readonly kind: "apt" | "pip" | "npm" | "run" | "function" }
>;

export const NPM_PATH = `${RUNTIME_DIR}/npm/package/bin/npm-cli.js`;
/** Packages of npm; `/node_modules` leads there. */
const NPM_PREFIX = `${RUNTIME_DIR}/packages`;

const APT_INSTALL = `
export DEBIAN_FRONTEND=noninteractive
command -v apt-get >/dev/null || { echo "this image has no apt-get: aptInstall needs Debian or Ubuntu" >&2; exit 1; }
apt-get update -q
apt-get install -q -y --no-install-recommends "$@"
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb
`;

const PIP_INSTALL = `
if ! python3 -m pip --version >/dev/null 2>&1; then
  command -v apt-get >/dev/null || { echo "this image has no pip; begin with one that has Python, such as python:3.12-slim" >&2; exit 1; }
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -q -y --no-install-recommends python3 python3-pip
  rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb
fi
python3 -m pip install --no-cache-dir "$@"
`;

const NPM_INSTALL = `
mkdir -p ${NPM_PREFIX}
if [ ! -e /node_modules ]; then ln -s ${NPM_PREFIX}/node_modules /node_modules; fi
cd ${NPM_PREFIX}
export HOME=/tmp/npm-home PATH="$PATH:${RUNTIME_DIR}/bin"
${NODE_PATH} ${NPM_PATH} install --no-audit --no-fund --no-update-notifier "$@"
`;

const RUN_COMMANDS = `
for command in "$@"; do
  printf '$ %s\\n' "$command"
  /bin/sh -e -c "$command"
done
`;

/**
 * Runs commands in a shell of their own, and as a user of the image. By Node, which is in every
 * image: programs that change the user are not.
 */
const RUN_AS = `
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

const { commands, shell, user } = JSON.parse(process.argv[2]);
const fail = (message, code) => { console.error(message); process.exit(code); };
const lines = (file) => {
  try { return readFileSync(file, "utf8").split("\\n").map((line) => line.split(":")); }
  catch { return []; }
};
if (user !== undefined) {
  const [name, group] = user.split(":");
  const isNumber = (text) => /^[0-9]+$/.test(text);
  const users = lines("/etc/passwd");
  const groups = lines("/etc/group");
  const found = users.find((one) => one[isNumber(name) ? 2 : 0] === name);
  if (found === undefined && !isNumber(name)) fail("there is no user " + name + " in /etc/passwd", 1);
  const ofGroup = groups.find((one) => one[isNumber(group ?? "") ? 2 : 0] === group);
  if (group !== undefined && ofGroup === undefined && !isNumber(group)) {
    fail("there is no group " + group + " in /etc/group", 1);
  }
  const gid = Number(group === undefined ? (found?.[3] ?? 0) : (ofGroup?.[2] ?? group));
  const isOf = (one) => found !== undefined && (one[3] ?? "").split(",").includes(found[0]);
  const others = groups.filter(isOf);
  process.setgroups(group === undefined ? [gid, ...others.map((one) => Number(one[2]))] : [gid]);
  process.setgid(gid);
  process.setuid(Number(found?.[2] ?? name));
  process.env.HOME = found?.[5] || "/";
}
for (const command of commands) {
  console.log("$ " + command);
  const { status, signal, error } = spawnSync(shell[0], [...shell.slice(1), command], { stdio: "inherit" });
  if (error !== undefined) fail("cannot run " + shell[0] + ": " + error.message, 127);
  if (status !== 0) process.exit(status ?? 1);
}
`;

/** Gives the exit code 1 and the error to a function that fails, and hints at the usual mistake. */
const RUN_FUNCTION = `
const hint = "a function of runFunction sees nothing of the file around it; " +
  "import what it needs inside it: await import(\\"node:fs\\")";
try {
  const { default: run } = await import("${INPUTS_DIR}/function.mjs");
  await run();
} catch (error) {
  console.error(error);
  if (error instanceof ReferenceError) console.error(hint);
  process.exitCode = 1;
}
`;

/** How a step is run. */
export function scriptOf(step: RunningStep): StepScript {
  switch (step.kind) {
    case "apt":
      return shell(APT_INSTALL, ["--", ...step.packages]);
    case "pip":
      return shell(PIP_INSTALL, step.packages, PIP_VARIABLES);
    case "npm":
      return shell(NPM_INSTALL, ["--", ...step.packages]);
    case "run":
      return commandsOf(step);
    case "function":
      return {
        args: [NODE_PATH, `${INPUTS_DIR}/main.mjs`],
        env: {},
        inputs: {
          "main.mjs": new TextEncoder().encode(RUN_FUNCTION),
          "function.mjs": new TextEncoder().encode(`export default (${step.source});\n`),
        },
      };
  }
}

const PLAIN_SHELL: readonly string[] = ["/bin/sh", "-e", "-c"];

function commandsOf(step: Extract<RunningStep, { readonly kind: "run" }>): StepScript {
  const { commands, shell: asked, user, env = {} } = step;
  if (asked === undefined && user === undefined) return shell(RUN_COMMANDS, commands, env);
  const wish = JSON.stringify({ commands, shell: asked ?? PLAIN_SHELL, user });
  return {
    args: [NODE_PATH, `${INPUTS_DIR}/run-as.mjs`, wish],
    env,
    inputs: { "run-as.mjs": new TextEncoder().encode(RUN_AS) },
  };
}

const PIP_VARIABLES = {
  // Debian's own Python asks for it; the image belongs to nobody else.
  PIP_BREAK_SYSTEM_PACKAGES: "1",
  PIP_ROOT_USER_ACTION: "ignore",
  PIP_DISABLE_PIP_VERSION_CHECK: "1",
  PIP_NO_INPUT: "1",
  PIP_PROGRESS_BAR: "off",
};

function shell(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): StepScript {
  return { args: ["/bin/sh", "-e", "-c", script, "flotilla-build", ...args], env };
}

/** A step in a few words, as logs and listings show it. */
export function wordsOf(step: ImageStep): string {
  switch (step.kind) {
    case "apt":
      return `aptInstall ${step.packages.join(" ")}`;
    case "pip":
      return `pipInstall ${step.packages.join(" ")}`;
    case "npm":
      return `npmInstall ${step.packages.join(" ")}`;
    case "run":
      return `runCommands ${step.commands.join("; ")}`;
    case "files":
      return `add files to ${step.target}`;
    case "copy":
      return `copy ${step.sources.join(" ")} of stage ${step.stage + 1} to ${step.target}`;
    case "env":
      return `env ${Object.keys(step.variables).join(" ")}`;
    case "workdir":
      return `workdir ${step.path}`;
    case "function":
      return `runFunction ${step.source.split("\n")[0] ?? ""}`;
  }
}
