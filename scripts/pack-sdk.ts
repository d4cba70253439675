/**
 * Packs the SDK as its users get it and holds what they rely on: it builds, its package file
 * is sound (publint), its types resolve (attw), a small program type-checks against it, and
 * importing it needs no other package. Leaves nothing behind but `sdk/dist`.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, stepEnvironment } from "./steps.ts";

const SDK = join(ROOT, "sdk");
/** Unpacked size that the library and its commands must stay under. */
const UNPACKED_BYTES_MAX = 1_000_000;

interface PackReport {
  readonly filename: string;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

const scratch = mkdtempSync(join(tmpdir(), "flotilla-pack-"));
try {
  rmSync(join(SDK, "dist"), { recursive: true, force: true });
  run("tsc", ["-p", "tsconfig.build.json"], SDK);
  const report = pack();
  const tarball = join(scratch, report.filename);
  run("publint", ["run", tarball, "--strict"], ROOT);
  run("attw", [tarball, "--profile", "esm-only", "--no-emoji"], ROOT);
  useAsStranger(tarball);
  const kilobytes = Math.round(report.unpackedSize / 1000);
  console.log(`${report.filename}: ${report.files.length} files, ${kilobytes} kB unpacked`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

function pack(): PackReport {
  const json = run("npm", ["pack", "--json", "--pack-destination", scratch], SDK);
  const [report] = parsePackReports(json);
  if (report === undefined) throw new Error(`npm pack said nothing usable: ${json}`);
  const stray = report.files.filter((file) => /\.test\.(ts|js|d\.ts)$/.test(file.path));
  if (stray.length > 0) {
    throw new Error(`tests are in the package: ${stray.map((file) => file.path).join(", ")}`);
  }
  if (report.unpackedSize > UNPACKED_BYTES_MAX) {
    throw new Error(
      `the package has ${report.unpackedSize} bytes; ${UNPACKED_BYTES_MAX} is the most`,
    );
  }
  return report;
}

function parsePackReports(json: string): readonly PackReport[] {
  return Object.values(JSON.parse(json) as Readonly<Record<string, PackReport>>);
}

/** A project that has the packed SDK and nothing else: it must type-check and import it. */
function useAsStranger(tarball: string): void {
  const project = join(scratch, "project");
  const installed = join(project, "node_modules", "flotilla");
  mkdirSync(installed, { recursive: true });
  run("tar", ["-xzf", tarball, "-C", installed, "--strip-components=1"], project);
  copyFileSync(join(ROOT, "scripts", "sdk-consumer.ts"), join(project, "consumer.ts"));
  writeJson(join(project, "package.json"), { name: "stranger", private: true, type: "module" });
  writeJson(join(project, "tsconfig.json"), {
    compilerOptions: {
      target: "ES2024",
      lib: ["ES2024", "DOM"],
      module: "NodeNext",
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      types: [],
    },
    files: ["consumer.ts"],
  });
  run("tsc", ["-p", project], project);
  const probe = `const sdk = await import("flotilla"); if (!sdk.App) throw new Error("no App");`;
  run("node", ["--input-type=module", "-e", probe], project);
  const others = readdirSync(join(project, "node_modules"));
  if (others.length !== 1) throw new Error(`expected flotilla alone, found ${others.join(", ")}`);
}

function writeJson(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`);
}

function run(program: string, programArguments: readonly string[], cwd: string): string {
  try {
    return execFileSync(program, programArguments, {
      cwd,
      env: stepEnvironment(),
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  } catch (error) {
    const said = error as { readonly stdout?: string; readonly stderr?: string };
    console.error(`${program} ${programArguments.join(" ")} (in ${cwd}) failed:`);
    console.error(`${said.stdout ?? ""}${said.stderr ?? ""}`.trim());
    process.exit(1);
  }
}
