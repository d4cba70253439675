/**
 * One machine of a batch: created by one offer after the other until one gives it.
 *
 *     create ─┬─► accepted ─► operation ─┬─► allocated: rented
 *             │                          ├─► failed: machine and disk deleted, next offer
 *             │                          └─► still running at the limit: rented
 *             ├─► refused: next offer
 *             └─► exists: ours of this batch ─► rented, or failed as above
 *
 * The machine is named after its node, and is created only if there is none of that name: no
 * crash and no lost reply makes two. A create that fails leaves the machine behind, so before
 * the next offer it is deleted, and this ends only when it is certainly gone. An interface that
 * Azure holds for a machine of that name for three minutes is used again by the next create; when
 * no offer is left and Azure still holds it, it stays for the next release to remove.
 */
import type { VirtualMachine } from "@azure/arm-compute";
import { PlatformError, type Clock, type Offer } from "../../core/index.ts";
import { BATCH_TAG, type RentedMachine, type RentRequest } from "../provider.ts";
import { attemptOf, detailsOf } from "../rent-request.ts";
import type { AzureCalls, Operation } from "./calls.ts";
import { deleteLeftovers } from "./cleanup.ts";
import {
  CLUSTER_TAG,
  machineBody,
  namesOf,
  NODE_TAG,
  OFFER_TAG,
  type LaunchSettings,
  type MachineNames,
  type MachineOrder,
} from "./launch.ts";
import { providerNodeIdOf } from "./listing.ts";
import type { OfferBoard } from "./offer-board.ts";
import type { StateBoard } from "./state-board.ts";
import {
  createFailureOf,
  failureOf,
  meaningOf,
  meaningOfCreate,
  platformErrorOf,
  statusOf,
  type AzureFailure,
} from "./translate.ts";

/** How long is waited for what, in ms. */
export interface RentWaits {
  /** Between two looks at an operation. */
  readonly pollMs: number;
  /** For the allocator's verdict; after it a machine counts as rented. */
  readonly allocationMs: number;
  /** For a failed machine to be gone; after it the outcome is unknown. */
  readonly cleanupMs: number;
}

/** What renting one machine needs. */
export interface RentDesk {
  readonly calls: AzureCalls;
  readonly clock: Clock;
  readonly settings: LaunchSettings;
  readonly waits: RentWaits;
  readonly request: RentRequest;
  /** Shared by all machines of the batch. */
  readonly board: OfferBoard;
  readonly states: StateBoard;
}

/** What one create came to. */
type Attempt =
  | { readonly kind: "rented"; readonly offerId: string }
  /** It certainly has no machine; the board knows why. */
  | { readonly kind: "refused" }
  /** Another machine of the name was on its way out and is gone now. */
  | { readonly kind: "again" };

/**
 * Rents the machine of one node; undefined when every offer was refused.
 *
 * @throws PlatformError when the outcome is unknown, or nothing can be rented at all.
 */
export async function rentMachine(
  desk: RentDesk,
  nodeId: string,
): Promise<RentedMachine | undefined> {
  const { request, settings, board } = desk;
  const names = namesOf(nodeId, settings.clusterId);
  try {
    let isBegun = false;
    for (let offer = board.best(); offer !== undefined; offer = board.best()) {
      isBegun = true;
      const attempt = await attemptBy(desk, nodeId, offer);
      if (attempt.kind !== "rented") continue;
      const providerNodeId = providerNodeIdOf(offer.region, names.machine);
      return { nodeId, providerNodeId, offerId: attempt.offerId };
    }
    if (isBegun) await deleteLeftovers({ ...desk, ...desk.waits }, names);
    return undefined;
  } catch (error) {
    throw platformErrorOf(error, attemptOf(request), { ...detailsOf(request), nodeId });
  }
}

async function attemptBy(desk: RentDesk, nodeId: string, offer: Offer): Promise<Attempt> {
  const { calls, settings, request, board, clock } = desk;
  const names = namesOf(nodeId, settings.clusterId);
  const order: MachineOrder = { request, nodeId, offer, nowMs: clock.nowMs() };
  try {
    const body = machineBody(order, settings);
    const creation = await desk.states.creating(() => calls.createMachine(names.machine, body));
    return await settle(desk, { names, offer, creation });
  } catch (error) {
    const failure = failureOf(error);
    if (failure?.status === 412) return adopt(desk, nodeId, names);
    const meaning = meaningOf(error);
    if (failure === undefined || meaning?.kind !== "refused") throw error;
    board.refuse(offer, failure, meaning.scope);
    return { kind: "refused" };
  }
}

interface Creation {
  readonly names: MachineNames;
  readonly offer: Offer;
  readonly creation: Operation;
}

/**
 * Follows an accepted create until the machine has a host, or none, or time is up. One list of
 * states serves all machines of the batch that wait at a time; only what it does not show to
 * have a host is asked for by itself.
 */
async function settle(desk: RentDesk, { names, offer, creation }: Creation): Promise<Attempt> {
  const { clock, waits, states } = desk;
  const untilMs = clock.nowMs() + waits.allocationMs;
  const rented = { kind: "rented", offerId: offer.offerId } as const;
  for (;;) {
    const listed = await states.of(names.machine);
    if (listed !== undefined && isAllocated(listed)) return rented;
    const stand = await creation.poll();
    if (stand.kind === "succeeded") return rented;
    if (stand.kind === "failed") return giveUp(desk, names, { offer, failure: stand.failure });
    if (clock.nowMs() >= untilMs) return rented;
    await clock.sleep(waits.pollMs);
  }
}

/** Follows a machine of our name: the one of this request, or somebody else's. */
async function adopt(desk: RentDesk, nodeId: string, names: MachineNames): Promise<Attempt> {
  const { clock, waits } = desk;
  const untilMs = clock.nowMs() + waits.allocationMs;
  for (;;) {
    const machine = await findMachine(desk, names);
    if (machine === undefined) return { kind: "again" };
    checkOwner(desk, nodeId, machine);
    const attempt = await attemptOfPresent(desk, names, machine);
    if (attempt !== undefined) return attempt;
    if (clock.nowMs() >= untilMs) return { kind: "rented", offerId: offerIdOf(machine) };
    await clock.sleep(waits.pollMs);
  }
}

/** What a machine that is there came to; undefined while its create is under way. */
async function attemptOfPresent(
  desk: RentDesk,
  names: MachineNames,
  machine: VirtualMachine,
): Promise<Attempt | undefined> {
  const offerId = offerIdOf(machine);
  switch (machine.provisioningState) {
    case "Failed": {
      const offer = desk.request.offers.find((one) => one.offerId === offerId);
      return giveUp(desk, names, { offer, failure: createFailureOf(machine) });
    }
    case "Deleting":
      await waitUntilGone(desk, names);
      return { kind: "again" };
    case "Creating":
      return isAllocated(machine) ? { kind: "rented", offerId } : undefined;
    default:
      return { kind: "rented", offerId };
  }
}

/** @throws PlatformError `conflict` for a machine that is not of this node, cluster and batch. */
function checkOwner({ request, settings }: RentDesk, nodeId: string, machine: VirtualMachine) {
  const { tags = {}, name = "" } = machine;
  const isOurs =
    tags[NODE_TAG] === nodeId &&
    tags[CLUSTER_TAG] === settings.clusterId &&
    tags[BATCH_TAG] === request.clientToken;
  if (isOurs) return;
  const owner = tags[BATCH_TAG] === undefined ? "no batch" : `batch ${tags[BATCH_TAG]}`;
  throw new PlatformError(
    `could not ${attemptOf(request)}: a machine ${name} exists and is of ${owner}; ` +
      "use new node ids",
    { code: "conflict", retryable: false, details: detailsOf(request) },
  );
}

/** Deletes what a failed create left, and remembers why; throws what no other offer mends. */
async function giveUp(
  desk: RentDesk,
  names: MachineNames,
  { offer, failure }: { readonly offer: Offer | undefined; readonly failure: AzureFailure },
): Promise<Attempt> {
  await desk.calls.deleteMachine(names.machine);
  await waitUntilGone(desk, names);
  await desk.calls.deleteDisk(names.disk);
  const meaning = meaningOfCreate(failure);
  if (meaning.kind === "failed") {
    const { code, message } = failure;
    throw new PlatformError(`could not ${attemptOf(desk.request)}: ${code}: ${message}`, {
      code: meaning.code,
      retryable: meaning.retryable,
      details: { ...detailsOf(desk.request), azureCode: code },
    });
  }
  // An offer that the request does not name was tried by nobody else of this batch.
  if (offer !== undefined) desk.board.refuse(offer, failure, meaning.scope);
  return { kind: "refused" };
}

/** @throws PlatformError when the machine is still there after `cleanupMs`. */
async function waitUntilGone(desk: RentDesk, names: MachineNames): Promise<void> {
  const { clock, waits, request } = desk;
  const untilMs = clock.nowMs() + waits.cleanupMs;
  while ((await findMachine(desk, names)) !== undefined) {
    if (clock.nowMs() >= untilMs) {
      throw new PlatformError(
        `could not ${attemptOf(request)}: machine ${names.machine}, whose create failed, is not ` +
          "gone yet; repeat it",
        { code: "unavailable", retryable: true, details: detailsOf(request) },
      );
    }
    await clock.sleep(waits.pollMs);
  }
}

async function findMachine(
  { calls }: RentDesk,
  names: MachineNames,
): Promise<VirtualMachine | undefined> {
  try {
    return await calls.getMachine(names.machine);
  } catch (error) {
    const meaning = meaningOf(error);
    if (meaning?.kind === "failed" && meaning.code === "not_found") return undefined;
    throw error;
  }
}

/**
 * Whether a machine has a host. Source: "States and billing status of Azure Virtual Machines",
 * Microsoft Learn (read 2026-11): it is billed, so has a host, while its system is installed.
 */
function isAllocated(machine: VirtualMachine): boolean {
  const powerState = statusOf(machine, "PowerState/");
  const detail = statusOf(machine, "ProvisioningState/creating/") ?? "";
  return powerState === "running" || powerState === "starting" || /^OSProvisioning/i.test(detail);
}

/** By which offer a machine was rented. */
function offerIdOf({ tags }: VirtualMachine): string {
  return tags?.[OFFER_TAG] ?? "";
}
