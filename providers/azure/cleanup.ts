/** Deletes what is left of a machine that is gone: its interface, its address, its disk. */
import type { Clock } from "../../core/index.ts";
import type { AzureCalls, Operation } from "./calls.ts";
import type { MachineNames } from "./launch.ts";
import { meaningOf } from "./translate.ts";

/** What cleaning up needs. */
export interface CleanupTools {
  readonly calls: AzureCalls;
  readonly clock: Clock;
  /** Between two looks at a delete. */
  readonly pollMs: number;
}

/** An interface is gone within seconds; its address can go only then. */
const LOOK_COUNT_MAX = 5;

/**
 * Deletes what there is; absent resources count as deleted. What Azure still holds for a while
 * stays, and shows in the next listing.
 */
export async function deleteLeftovers(tools: CleanupTools, names: MachineNames): Promise<void> {
  const { calls } = tools;
  await Promise.all([
    unlessHeld(calls.deleteDisk(names.disk)),
    unlessHeld(calls.deleteInterface(names.interface).then((deletion) => end(tools, deletion))),
  ]);
  await unlessHeld(calls.deleteAddress(names.address));
}

async function end({ clock, pollMs }: CleanupTools, deletion: Operation): Promise<void> {
  for (let look = 1; look <= LOOK_COUNT_MAX; look += 1) {
    if ((await deletion.poll()).kind !== "running") return;
    await clock.sleep(pollMs);
  }
}

/** Passes over the conflict of a resource that is in use or reserved. */
async function unlessHeld(deletion: Promise<unknown>): Promise<void> {
  try {
    await deletion;
  } catch (error) {
    const meaning = meaningOf(error);
    if (meaning?.kind !== "failed" || meaning.code !== "conflict") throw error;
  }
}
