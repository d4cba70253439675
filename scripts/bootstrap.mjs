/**
 * The first thing `npm run quickstart`, `npm test` and `npm run bench` start.
 *
 * Runs on Node 20 before anything is installed, so it is plain JavaScript without imports
 * from node_modules. It installs what is missing (npm packages by the lock file, redis-server,
 * runsc and python3 by apt where it may), then hands over to the step under Node 24, which comes in
 * through the lock file. A second run finds everything in place and installs nothing.
 *
 *     node scripts/bootstrap.mjs quickstart|test|bench|setup [arguments of the step]
 *     node scripts/bootstrap.mjs STEP --explain    prints as JSON what a run would do
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(realpathSync(fileURLToPath(import.meta.url))));
const BIN_DIR = join(ROOT, "node_modules", ".bin");
/** Holds the hash of the lock file that node_modules was installed from. */
const STAMP_FILE = join(ROOT, "node_modules", ".flotilla-setup");
const POLICY_FILE = "/usr/sbin/policy-rc.d";
const NODE_MAJOR_MIN = 20;
const NODE_MAJOR_OF_STEPS = 24;

/** What each step starts; `setup` ends when everything is installed. */
const STEPS = {
  quickstart: "scripts/quickstart.ts",
  test: "scripts/test.ts",
  bench: "scripts/bench.ts",
  setup: undefined,
};

/** Programs that npm cannot bring. */
const SYSTEM_PARTS = [
  {
    program: "redis-server",
    aptPackage: "redis-server",
    purpose: "carries the queues",
    source: "https://redis.io/docs/latest/operate/oss_and_stack/install/",
  },
  {
    program: "runsc",
    aptPackage: "runsc",
    purpose: "gVisor, isolates the containers",
    source: "https://gvisor.dev/docs/user_guide/install/",
  },
  {
    program: "python3",
    aptPackage: "python3",
    purpose: "runs functions written in Python",
    source: "https://www.python.org/downloads/",
  },
  {
    program: "docker-registry",
    aptPackage: "docker-registry",
    purpose: "gives images to tests",
    source: "https://distribution.github.io/distribution/",
    onlyFor: "test",
  },
];

/** Ends the program with a message for people; not a bug, so no stack. */
class SetupError extends Error {}

process.exitCode = await main(process.argv.slice(2)).catch((error) => {
  if (!(error instanceof SetupError)) throw error;
  console.error(`\n✖ ${error.message}`);
  return 1;
});

async function main([step, ...rest]) {
  if (step === undefined || !Object.hasOwn(STEPS, step)) {
    throw new SetupError(`usage: node scripts/bootstrap.mjs ${Object.keys(STEPS).join("|")}`);
  }
  const explain = rest.includes("--explain");
  const stepArguments = rest.filter((argument) => argument !== "--explain");
  const plan = observe(step, stepArguments);
  if (explain) {
    console.log(JSON.stringify(plan, undefined, 2));
    return 0;
  }
  checkNode();
  checkSystemParts(plan.system);
  if (plan.dependencies.action === "install") await installDependencies(plan.dependencies.reason);
  writeFileSync(STAMP_FILE, lockSha256());
  installSystemParts(plan.system);
  return await runStep(step, stepArguments);
}

/** What is there and what a run would do about the rest. Changes nothing. */
function observe(step, stepArguments) {
  return {
    step,
    node: { version: process.version, stepsRunUnder: stepNode() ?? "installed by npm ci" },
    dependencies: dependencyPlan(),
    system: SYSTEM_PARTS.filter(({ onlyFor = step }) => onlyFor === step).map((part) => {
      const path = findProgram(part.program);
      return path === undefined
        ? { ...part, action: actionFor(part) }
        : { program: part.program, path, action: "none" };
    }),
    command: STEPS[step] === undefined ? undefined : [STEPS[step], ...stepArguments],
  };
}

/** A part for tests alone is done without where apt cannot bring it: they say so and are skipped. */
function actionFor({ onlyFor }) {
  if (aptUsable()) return "apt-get install";
  return onlyFor === undefined ? "ask" : "skip";
}

function checkNode() {
  if (majorOf(process.version) >= NODE_MAJOR_MIN) return;
  throw new SetupError(
    `Node ${NODE_MAJOR_MIN} or newer is needed to set up, and this is ${process.version}. ` +
      "Install it from https://nodejs.org or your package manager, then run this again.",
  );
}

function majorOf(version) {
  return Number(/^v?(\d+)/.exec(version)?.[1] ?? 0);
}

// --- npm packages -----------------------------------------------------------------------

function dependencyPlan() {
  if (!existsSync(join(ROOT, "node_modules"))) {
    return { action: "install", reason: "node_modules is missing" };
  }
  if (readOr(STAMP_FILE, "") === lockSha256() || installedMatchesLock()) {
    return { action: "none", reason: "node_modules matches package-lock.json" };
  }
  return { action: "install", reason: "node_modules does not match package-lock.json" };
}

/** True when npm's own record of node_modules has every package of the lock file. */
function installedMatchesLock() {
  const record = readOr(join(ROOT, "node_modules", ".package-lock.json"), undefined);
  if (record === undefined) return false;
  const wanted = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")).packages;
  const installed = JSON.parse(record).packages;
  return Object.entries(wanted).every(([path, entry]) => {
    const found = installed[path];
    if (path === "" || (found === undefined && entry.optional === true)) return true;
    return found?.version === entry.version && found?.integrity === entry.integrity;
  });
}

function lockSha256() {
  return createHash("sha256")
    .update(readFileSync(join(ROOT, "package-lock.json")))
    .digest("hex");
}

async function installDependencies(reason) {
  console.error(`Installing npm packages (${reason}) ...`);
  const startedAtMs = Date.now();
  rmSync(STAMP_FILE, { force: true });
  // npm must not run on the Node that it is about to replace.
  const env = { ...process.env, PATH: pathWithout(join("node_modules", ".bin")) };
  const npmScript = process.env.npm_execpath;
  const [command, ...before] = npmScript?.endsWith(".js")
    ? [nodeOutsideModules(), npmScript]
    : ["npm"];
  const code = await run(
    command,
    [...before, "ci", "--no-audit", "--no-fund", "--loglevel=error"],
    env,
  );
  if (code !== 0) {
    throw new SetupError(
      `npm ci in ${ROOT} ended with ${code}; its own message is above. Check that the registry ` +
        "answers (npm ping) and that the disk has 1 GB free, then run this again.",
    );
  }
  console.error(`Installed npm packages in ${secondsSince(startedAtMs)} s.`);
}

function nodeOutsideModules() {
  const candidates = [process.execPath, process.env.npm_node_execpath ?? process.execPath];
  const inside = (path) => realpathOr(path).startsWith(join(ROOT, "node_modules"));
  return candidates.find((path) => !inside(path)) ?? findProgram("node") ?? process.execPath;
}

function pathWithout(suffix) {
  const dirs = (process.env.PATH ?? "").split(delimiter);
  return dirs.filter((dir) => !dir.endsWith(suffix)).join(delimiter);
}

// --- system parts -----------------------------------------------------------------------

function aptUsable() {
  return (
    process.platform === "linux" &&
    process.getuid?.() === 0 &&
    findProgram("apt-get") !== undefined &&
    /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readOr("/etc/os-release", ""))
  );
}

/** @throws SetupError naming every missing part when apt may not be used. */
function checkSystemParts(parts) {
  const missing = parts.filter((part) => part.action === "ask");
  if (missing.length === 0) return;
  if (process.platform !== "linux") {
    throw new SetupError(`The platform runs on Linux (this is ${process.platform}).`);
  }
  throw new SetupError(missingMessage(missing));
}

function missingMessage(missing) {
  const packages = missing.map((part) => part.aptPackage).join(" ");
  return [
    `Missing: ${missing.map((part) => `${part.program} (${part.purpose})`).join(", ")}.`,
    "Install it, then run this again:",
    `  Debian, Ubuntu (as root):  apt-get update && apt-get install -y ${packages}`,
    ...missing.map((part) => `  elsewhere, ${part.program}:  ${part.source}`),
  ].join("\n");
}

function installSystemParts(parts) {
  const missing = parts.filter((part) => part.action === "apt-get install");
  if (missing.length === 0) return;
  const packages = missing.map((part) => part.aptPackage);
  console.error(`Installing ${packages.join(", ")} with apt-get ...`);
  const startedAtMs = Date.now();
  const ownPolicy = forbidServiceStart();
  try {
    const install = ["install", "-y", "-q", "--no-install-recommends", ...packages];
    if (!apt(install).succeeded) {
      apt(["update"]);
      const second = apt(install);
      if (!second.succeeded) throw new SetupError(aptFailure(second.output, missing));
    }
  } finally {
    if (ownPolicy) rmSync(POLICY_FILE, { force: true });
  }
  for (const name of packages.filter((each) => each !== "runsc")) disableService(name);
  const absent = missing.filter((part) => findProgram(part.program) === undefined);
  if (absent.length > 0) throw new SetupError(missingMessage(absent));
  console.error(`Installed ${packages.join(", ")} in ${secondsSince(startedAtMs)} s.`);
}

function apt(aptArguments) {
  const result = spawnSync("apt-get", aptArguments, {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = `${result.stdout ?? ""}${result.stderr ?? ""}${result.error?.message ?? ""}`;
  return { succeeded: result.status === 0, output };
}

function aptFailure(output, missing) {
  const said = output.trim().split("\n").slice(-8).join("\n");
  return `apt-get could not install it. It said:\n${said}\n\n${missingMessage(missing)}`;
}

/**
 * Debian starts a service when its package is installed; the platform starts its own
 * Redis and wants no other. True when a policy of ours was put in place.
 */
function forbidServiceStart() {
  try {
    writeFileSync(POLICY_FILE, "#!/bin/sh\nexit 101\n", { flag: "wx", mode: 0o755 });
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

/** The package enables its service for the next boot; it was installed for its program. */
function disableService(name) {
  if (!existsSync("/run/systemd/system")) return;
  spawnSync("systemctl", ["disable", "--now", `${name}.service`], { stdio: "ignore" });
}

// --- the step ---------------------------------------------------------------------------

/** The Node that steps run under: the one from the lock file, or this one if it is new enough. */
function stepNode() {
  const own = join(ROOT, "node_modules", `node-${process.platform}-${process.arch}`, "bin/node");
  if (existsSync(own)) return own;
  return majorOf(process.version) >= NODE_MAJOR_OF_STEPS ? process.execPath : undefined;
}

async function runStep(step, stepArguments) {
  const node = stepNode();
  if (node === undefined) {
    throw new SetupError(
      `Node ${NODE_MAJOR_OF_STEPS} is needed, and npm installs it on Linux x64 and arm64 only ` +
        `(this is ${process.platform} ${process.arch}, Node ${process.version}). ` +
        `Install Node ${NODE_MAJOR_OF_STEPS} from https://nodejs.org, then run this again.`,
    );
  }
  const script = STEPS[step];
  if (script === undefined) {
    console.error("✔ Everything is installed.");
    return 0;
  }
  const path = `${BIN_DIR}${delimiter}${process.env.PATH ?? ""}`;
  return await run(node, [join(ROOT, script), ...stepArguments], { ...process.env, PATH: path });
}

/** Runs a program to its end and passes signals on. @returns its exit code. */
async function run(command, commandArguments, env) {
  const child = spawn(command, commandArguments, { cwd: ROOT, env, stdio: "inherit" });
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  const forward = (signal) => child.kill(signal);
  for (const signal of signals) process.on(signal, forward);
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", (error) =>
        reject(new SetupError(`${command} could not be started: ${error.message}`)),
      );
      child.once("exit", (code, signal) => resolve(code ?? (signal === "SIGINT" ? 130 : 143)));
    });
  } finally {
    for (const signal of signals) process.off(signal, forward);
  }
}

// --- small parts ------------------------------------------------------------------------

function findProgram(name) {
  const dirs = (process.env.PATH ?? "").split(delimiter).filter((dir) => dir !== "");
  return dirs.map((dir) => join(dir, name)).find(isProgram);
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch (error) {
    if (["ENOENT", "EACCES", "ENOTDIR"].includes(error.code)) return false;
    throw error;
  }
}

function readOr(path, fallback) {
  return existsSync(path) ? readFileSync(path, "utf8") : fallback;
}

function realpathOr(path) {
  return existsSync(path) ? realpathSync(path) : path;
}

function secondsSince(startedAtMs) {
  return ((Date.now() - startedAtMs) / 1000).toFixed(1);
}
