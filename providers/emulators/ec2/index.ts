/** An emulated EC2; see README.md. */
export { startEc2Emulator, type Ec2Emulator } from "./emulator.ts";
export type { Fault } from "./faults.ts";
