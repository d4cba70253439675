/**
 * Makes a process that was restored from a memory image draw numbers of its own.
 *
 * What a program under Node can draw from, and what becomes of it:
 * - OpenSSL's generators, of all threads (`randomBytes`, keys, TLS, Web Crypto): seeded anew
 *   through a native add-on (openssl-entropy.c).
 * - What Node drew ahead for `randomUUID` and `randomInt`: used up here.
 * - `Math.random`: replaced before the image is made (math-random.ts).
 * - The kernel's (`/dev/urandom`, child processes): fresh by itself.
 * Not reached are numbers that the program itself has kept, and threads that ran already: with
 * these running no image is made.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ENTROPY_ADDON_FILE } from "./addon-file.ts";
import { forgetDrawn, takeOverMathRandom } from "./math-random.ts";

type Reseed = (entropy: Uint8Array) => boolean;

/** Node draws 128 of `randomUUID` ahead (lib/internal/crypto/random.js, v24). */
const UUIDS_AHEAD = 128;
/** And 6 KiB for `randomInt`, 6 bytes each (same place). */
const INTEGERS_AHEAD = 1_024;
const INTEGER_MAX = 2 ** 47;

let reseedOpenSsl: Reseed | undefined;
let threadCount = 0;

/** Takes over what must be taken over before an image is made, before any code of the user. */
export function prepareGenerators(): void {
  const file = join(dirname(fileURLToPath(import.meta.url)), ENTROPY_ADDON_FILE);
  if (existsSync(file)) reseedOpenSsl = load(file);
  takeOverMathRandom();
  process.on("worker", (worker) => {
    threadCount += 1;
    worker.once("exit", () => (threadCount -= 1));
  });
}

/** Why the generators of this process cannot be made its own after a restore, if so. */
export function generatorObstacle(): string | undefined {
  if (reseedOpenSsl === undefined) {
    return "the node has no add-on to seed OpenSSL anew (a C compiler builds it)";
  }
  if (threadCount > 0) return `${threadCount} worker thread(s) run, which draw from their own`;
  return undefined;
}

/**
 * Seeds everything anew from at least 48 fresh random bytes.
 *
 * @throws Error when OpenSSL does not take them: the process must not go on.
 */
export function reseedGenerators(entropy: Uint8Array): void {
  // The add-on takes the bytes of a Buffer of their own.
  if (reseedOpenSsl?.(Buffer.from(entropy)) !== true) {
    throw new Error("OpenSSL could not be seeded anew");
  }
  forgetDrawn();
  const { randomInt, randomUUID } = process.getBuiltinModule("node:crypto");
  for (let drawn = 0; drawn < UUIDS_AHEAD; drawn += 1) randomUUID();
  for (let drawn = 0; drawn < INTEGERS_AHEAD; drawn += 1) randomInt(INTEGER_MAX);
}

function load(file: string): Reseed | undefined {
  const module: { exports: unknown } = { exports: {} };
  try {
    process.dlopen(module, file);
  } catch {
    // Built for another Node or machine: then there is none, and no image is made.
    return undefined;
  }
  const { exports } = module;
  return typeof exports === "function" ? (exports as Reseed) : undefined;
}
