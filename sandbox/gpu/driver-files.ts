/**
 * The driver's files for containers: libraries and programs that must be of the very version of
 * the machine's driver, so no image can bring them.
 *
 * They are put into one folder per version, `lib64` and `bin`, which containers with cards have
 * mounted read-only. So an image needs no folder for them, and nothing of it is changed.
 * Which files: those that NVIDIA's container tools mount for the capabilities `compute` and
 * `utility` (libnvidia-container, `src/nvc_info.c`, read 2026-11).
 */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import {
  access,
  chmod,
  copyFile,
  link,
  mkdir,
  realpath,
  rename,
  rm,
  symlink,
} from "node:fs/promises";
import { basename, delimiter, join } from "node:path";
import { promisify } from "node:util";
import { PlatformError } from "../../core/index.ts";

const run = promisify(execFile);

/** Where a container with cards has the folder, and in it its libraries and programs. */
export const DRIVER_MOUNT = "/runner/nvidia";
export const DRIVER_LIBRARIES = `${DRIVER_MOUNT}/lib64`;
export const DRIVER_PROGRAMS = `${DRIVER_MOUNT}/bin`;
/** Saves what is on the cards (github.com/NVIDIA/cuda-checkpoint); NVIDIA ships it apart. */
export const CUDA_CHECKPOINT = "cuda-checkpoint";

const LIBRARIES: ReadonlySet<string> = new Set([
  ...["libcuda", "libcudadebugger", "libnvidia-opencl", "libnvidia-gpucomp"],
  ...["libnvidia-ptxjitcompiler", "libnvidia-fatbinaryloader", "libnvidia-allocator"],
  ...["libnvidia-compiler", "libnvidia-pkcs11", "libnvidia-pkcs11-openssl3", "libnvidia-nvvm"],
  ...["libnvidia-ml", "libnvidia-cfg"],
]);
const PROGRAMS = ["nvidia-smi", "nvidia-debugdump", CUDA_CHECKPOINT] as const;
/** As `ldconfig -p` names the architectures. */
const ARCHITECTURES: Readonly<Partial<Record<NodeJS.Architecture, string>>> = {
  x64: "x86-64",
  arm64: "AArch64",
};

/** A library that programs look for under `name`. */
export interface DriverLibrary {
  readonly name: string;
  readonly path: string;
}

/** Driver libraries in the output of `ldconfig -p`, of this machine's architecture. */
export function parseLibraries(
  output: string,
  architecture: NodeJS.Architecture = process.arch,
): readonly DriverLibrary[] {
  const wanted = ARCHITECTURES[architecture];
  return output.split("\n").flatMap((line) => {
    const [, name = "", traits = "", path = ""] =
      /^\s*(\S+) \(([^)]*)\) => (\S+)$/.exec(line) ?? [];
    const isWanted =
      wanted !== undefined &&
      traits
        .split(",")
        .map((one) => one.trim())
        .includes(wanted);
    return isWanted && LIBRARIES.has(name.split(".so")[0] ?? "") ? [{ name, path }] : [];
  });
}

export interface DriverFiles {
  readonly dir: string;
  /** Whether `cuda-checkpoint` is among the programs. */
  readonly hasCudaCheckpoint: boolean;
}

/**
 * Puts the files of this version of the driver into a folder below `dir`, once.
 *
 * @throws PlatformError `unavailable` when the machine does not have libcuda of that version.
 */
export async function prepareDriverFiles(
  dir: string,
  driverVersion: string,
  { path = process.env["PATH"] ?? "", ldconfig = "/sbin/ldconfig" } = {},
): Promise<DriverFiles> {
  const { stdout } = await run(ldconfig, ["-p"]).catch(() => ({ stdout: "" }));
  const libraries = await ofVersion(parseLibraries(stdout), driverVersion);
  if (!libraries.some(({ name }) => name.startsWith("libcuda.so"))) {
    throw new PlatformError(
      `the machine has no libcuda.so.${driverVersion}, which its loaded driver needs; install ` +
        "the driver's libraries of that version, or load the driver of theirs by a restart",
      { code: "unavailable", retryable: false },
    );
  }
  const programs = (await Promise.all(PROGRAMS.map((name) => findProgram(name, path)))).filter(
    (program) => program !== undefined,
  );
  const hasCudaCheckpoint = programs.some((program) => basename(program) === CUDA_CHECKPOINT);
  const made = join(dir, `${driverVersion}${hasCudaCheckpoint ? "-checkpoint" : ""}`);
  if (!(await isThere(made))) await fill(made, libraries, programs);
  return { dir: made, hasCudaCheckpoint };
}

async function fill(
  made: string,
  libraries: readonly DriverLibrary[],
  programs: readonly string[],
): Promise<void> {
  const temporary = `${made}.${randomUUID()}`;
  for (const folder of ["lib64", "bin"]) {
    await mkdir(join(temporary, folder), { recursive: true, mode: 0o755 });
  }
  for (const { name, path } of libraries) {
    const file = basename(path);
    await put(path, join(temporary, "lib64", file));
    if (name !== file) await symlink(file, join(temporary, "lib64", name)).catch(ignoreExisting);
    // What programs that were linked against the stub of the toolkit look for.
    if (name === "libcuda.so.1") {
      await symlink(name, join(temporary, "lib64", "libcuda.so")).catch(ignoreExisting);
    }
  }
  for (const program of programs) await put(program, join(temporary, "bin", basename(program)));
  await rename(temporary, made).catch(async (error: unknown) => {
    // Another agent of this machine was faster; its files are the same.
    await rm(temporary, { recursive: true, force: true });
    if (!(await isThere(made))) throw error;
  });
}

/** Each with the file that it is; those of another version are not the driver's. */
async function ofVersion(
  libraries: readonly DriverLibrary[],
  driverVersion: string,
): Promise<readonly DriverLibrary[]> {
  const real = await Promise.all(
    libraries.map(async ({ name, path }) => {
      return { name, path: await realpath(path).catch(() => path) };
    }),
  );
  return real.filter(({ path }) => path.endsWith(`.so.${driverVersion}`));
}

/** The same file where that can be, else a copy. */
async function put(from: string, to: string): Promise<void> {
  const source = await realpath(from);
  try {
    await link(source, to);
  } catch (error) {
    if (isExisting(error)) return;
    await copyFile(source, to, constants.COPYFILE_FICLONE);
    await chmod(to, 0o755);
  }
}

/** Where a program is in the folders of a PATH; undefined when it is in none. */
export async function findProgram(name: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter).filter((one) => one !== "")) {
    const file = join(folder, name);
    if (await isThere(file, constants.X_OK)) return file;
  }
  return undefined;
}

async function isThere(path: string, mode = constants.F_OK): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

/** A library may be found under one name in two folders; the first counts, as for the linker. */
function ignoreExisting(error: unknown): void {
  if (!isExisting(error)) throw error;
}

function isExisting(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EEXIST";
}
