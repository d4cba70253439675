/** The add-on that seeds a runner's OpenSSL anew; without it no memory of a function is kept. */
import { fileURLToPath } from "node:url";
import { ENTROPY_ADDON_FILE } from "./node/addon-file.ts";
import { addNativeFile, bytesOf, type NativeFile } from "./native-file.ts";

/** How it is built. */
export const ENTROPY_ADDON: NativeFile = {
  name: ENTROPY_ADDON_FILE,
  source: fileURLToPath(new URL("./node/openssl-entropy.c", import.meta.url)),
  flags: ["-shared", "-fPIC", "-fvisibility=hidden"],
};

/** The add-on's bytes for other machines like this one; undefined without a compiler. */
export async function entropyAddon(): Promise<Uint8Array | undefined> {
  return bytesOf(ENTROPY_ADDON_FILE, (dir) => addNativeFile(ENTROPY_ADDON, dir));
}
