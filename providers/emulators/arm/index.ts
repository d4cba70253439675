/** An emulated Azure Resource Manager; see README.md. */
export { startArmEmulator, type ArmEmulator } from "./emulator.ts";
export type { Fault } from "./faults.ts";
