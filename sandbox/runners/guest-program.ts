/**
 * The program that is the first process of a container and makes its terminals. Without it a
 * container's first process is its runner, nobody waits for orphans, and there are no terminals.
 */
import { chmod, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { addNativeFile, bytesOf, type NativeFile } from "./native-file.ts";

/** Its name beside the runners. */
export const GUEST_FILE = "flotilla-guest";

const GUEST: NativeFile = {
  name: GUEST_FILE,
  source: fileURLToPath(new URL("./guest/guest.c", import.meta.url)),
  // An image may have another C library, or none.
  flags: ["-static", "-s"],
};

/** Puts the program into `dir`; tells whether it is there. */
export async function addGuestProgram(dir: string): Promise<boolean> {
  const isThere = await addNativeFile(GUEST, dir);
  if (isThere) await chmod(join(dir, GUEST_FILE), 0o755);
  return isThere;
}

/** Its bytes for other machines like this one; undefined without a compiler. */
export async function guestProgram(): Promise<Uint8Array | undefined> {
  return bytesOf(GUEST_FILE, addGuestProgram);
}

/** What says which version of it this is. */
export async function guestVersion(): Promise<Uint8Array> {
  // A bundled agent has the program and not its source.
  return readFile(GUEST.source).catch(() =>
    readFile(fileURLToPath(new URL(`./${GUEST_FILE}`, import.meta.url))).catch(
      () => new Uint8Array(0),
    ),
  );
}
