/** An emulated Compute Engine; see README.md. */
export { startGceEmulator, type GceEmulator } from "./emulator.ts";
export type { Fault } from "./faults.ts";
