/** Deletes what is left of a machine that is gone: its interface, its address, its disk. */
import type { AzureCalls } from "./calls.ts";
import type { MachineNames } from "./launch.ts";
import { meaningOf } from "./translate.ts";

/**
 * Deletes what there is; absent resources count as deleted. What Azure still holds for a while
 * stays, and shows in the next listing.
 */
export async function deleteLeftovers(calls: AzureCalls, names: MachineNames): Promise<void> {
  await Promise.all([
    unlessHeld(calls.deleteDisk(names.disk)),
    unlessHeld(calls.deleteInterface(names.interface)).then(() =>
      unlessHeld(calls.deleteAddress(names.address)),
    ),
  ]);
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
