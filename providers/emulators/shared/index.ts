/** What whoever starts an emulator of any cloud needs. */
export type { MachineLauncher } from "./machine-launcher.ts";
