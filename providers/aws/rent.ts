/**
 * Renting in one region: an instant fleet for a batch, RunInstances for a single machine.
 *
 * A fleet takes many types and zones in one call and gives what there is; RunInstances takes one
 * and needs no launch template. Where the account may not make fleets, the offers are asked for
 * one after the other, each under a token of its own, derived from the request's. EC2 forgets
 * what it refused: an offer that had nothing the first time may have plenty when the request is
 * made again. So what the batch has already is counted by its tag first, and while some of it
 * may not be visible yet nothing is asked for.
 *
 * Machines of one call carry the same tags, so a machine of a batch names its batch only: the
 * nodes get the instances in the order of their ids, and a repeated request gives the same.
 */
import { createHash } from "node:crypto";
import type { Instance } from "@aws-sdk/client-ec2";
import { MS_PER_MINUTE, PlatformError, type Clock, type Offer } from "../../core/index.ts";
import { BATCH_TAG, type RentOutcome, type RentRefusal, type RentRequest } from "../provider.ts";
import { attemptOf, detailsOf } from "../rent-request.ts";
import type { Ec2Calls } from "./calls.ts";
import { rentByFleet, type Launched, type LaunchResult } from "./fleet.ts";
import {
  launchInput,
  NODES_TAG,
  nodesFingerprint,
  type LaunchPart,
  type LaunchSettings,
} from "./launch.ts";
import { listInstances, ofCluster, providerNodeIdOf, providerNodeOf } from "./listing.ts";
import type { TemplateSweep } from "./template-sweep.ts";
import { foreignAnswer, meaningOf, platformErrorOf, refusalOf } from "./translate.ts";

/** What renting in a region needs. */
export interface RentDesk extends LaunchSettings {
  readonly calls: Ec2Calls;
  readonly clock: Clock;
  /** Remembers that this account may not make fleets, until the process ends. */
  readonly fleets: { forbidden: boolean };
  readonly sweep: TemplateSweep;
}

/** A listing shows instances surely when they are this old. */
const VISIBLE_AFTER_MS = MS_PER_MINUTE;

/** Rents for all nodes of a request, as far as its offers go. */
export async function rentInRegion(desk: RentDesk, request: RentRequest): Promise<RentOutcome> {
  const { launched, refusals } = await launchAll(desk, request);
  const found = launched.toSorted((a, b) => (a.instanceId < b.instanceId ? -1 : 1));
  const rented = request.nodeIds.flatMap((nodeId, index) => {
    const machine = found[index];
    if (machine === undefined) return [];
    const providerNodeId = providerNodeIdOf(desk.calls.region, machine.instanceId);
    return [{ nodeId, providerNodeId, offerId: machine.offer.offerId }];
  });
  return { rented, refusals };
}

async function launchAll(desk: RentDesk, request: RentRequest): Promise<LaunchResult> {
  const { offers, nodeIds } = request;
  const isSimple = offers.length === 1 && (nodeIds.length === 1 || offers[0]?.zone !== undefined);
  const [only] = offers;
  if (isSimple && only !== undefined) return launchAlone(desk, request, only);
  if (desk.fleets.forbidden || (await wasLaunchedInTurn(desk, request))) {
    return launchInTurn(desk, request);
  }
  const result = await rentByFleet(desk.calls, request, desk);
  switch (result.kind) {
    case "answered":
      await desk.sweep.run(desk.calls);
      return result;
    case "forbidden":
      desk.fleets.forbidden = true;
      return launchInTurn(desk, request);
    case "mismatch":
      return adoptBatch(desk, request, result.error);
  }
}

/** RunInstances for the only offer: its token alone makes a repetition harmless. */
function launchAlone(desk: RentDesk, request: RentRequest, offer: Offer): Promise<LaunchResult> {
  const count = request.nodeIds.length;
  return launch(desk, request, { offer, count, clientToken: request.clientToken });
}

/**
 * RunInstances for one offer after the other, each for what the ones before it and earlier calls
 * did not give. An offer that gave some machines before had no more then.
 */
async function launchInTurn(desk: RentDesk, request: RentRequest): Promise<LaunchResult> {
  const launched = [...(await batchLaunched(desk, request))];
  const refusals: RentRefusal[] = [];
  if (launched.length < request.nodeIds.length && mayBeHidden(desk, request)) {
    throw notAllVisible(request);
  }
  const given = Map.groupBy(launched, ({ offer }) => offer.offerId);
  for (const offer of request.offers) {
    const count = request.nodeIds.length - launched.length;
    if (count <= 0) break;
    const before = given.get(offer.offerId);
    if (before !== undefined) {
      refusals.push(noMoreOf(offer, before.length));
      continue;
    }
    const part = { offer, count, clientToken: tokenOf(request, offer) };
    const answer = await launch(desk, request, part);
    launched.push(...answer.launched);
    refusals.push(...answer.refusals);
  }
  return { launched, refusals };
}

/** Whether a request that is made again led to machines by calls of RunInstances. */
async function wasLaunchedInTurn(desk: RentDesk, request: RentRequest): Promise<boolean> {
  if (request.firstAskedAtMs === undefined) return false;
  const tokens = new Set(request.offers.map((offer) => tokenOf(request, offer)));
  const own = await batchInstances(desk, request);
  return own.some(({ ClientToken = "" }) => tokens.has(ClientToken));
}

/** Whether machines of an earlier call may not be listed yet. */
function mayBeHidden({ clock }: RentDesk, { firstAskedAtMs }: RentRequest): boolean {
  return firstAskedAtMs !== undefined && clock.nowMs() - firstAskedAtMs < VISIBLE_AFTER_MS;
}

async function launch(
  desk: RentDesk,
  request: RentRequest,
  part: LaunchPart,
): Promise<LaunchResult> {
  try {
    const { Instances } = await desk.calls.runInstances(launchInput(request, part, desk));
    if (Instances?.[0]?.InstanceId === undefined) {
      throw foreignAnswer(attemptOf(request), detailsOf(request));
    }
    return launchedBy(Instances, request, part);
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    return afterFailedLaunch(desk, request, part, error);
  }
}

/** A refusal as a value; a token that was used differently is looked up; the rest throws. */
async function afterFailedLaunch(
  ...[desk, request, part, error]: [RentDesk, RentRequest, LaunchPart, unknown]
): Promise<LaunchResult> {
  const meaning = meaningOf(error);
  if (meaning?.kind === "refused") {
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { launched: [], refusals: [refusalOf(part.offer, { meaning, reason })] };
  }
  if (meaning?.code === "conflict") {
    const own = await ownInstances(desk, request, {
      name: "client-token",
      values: [part.clientToken],
    });
    if (own.length > 0) return launchedBy(own, request, part);
  }
  throw platformErrorOf(error, attemptOf(request), detailsOf(request));
}

function launchedBy(
  instances: readonly Instance[],
  request: RentRequest,
  { offer, count }: LaunchPart,
): LaunchResult {
  const launched = instances.map(({ InstanceId }) => {
    if (InstanceId === undefined) throw foreignAnswer(attemptOf(request), detailsOf(request));
    return { instanceId: InstanceId, offer };
  });
  return { launched, refusals: launched.length < count ? [noMoreOf(offer, launched.length)] : [] };
}

/**
 * The instances that a batch's token already led to, under other parameters: with a changed
 * address of the server in the user data, say. They are what the token stands for. While some of
 * them may not be visible yet, the outcome stays open.
 */
async function adoptBatch(
  desk: RentDesk,
  request: RentRequest,
  error: unknown,
): Promise<LaunchResult> {
  const { offers, nodeIds } = request;
  const own = await batchInstances(desk, request);
  if (own.length === 0) throw platformErrorOf(error, attemptOf(request), detailsOf(request));
  const launched = launchedAmong(own, request);
  if (launched.length >= nodeIds.length) return { launched, refusals: [] };
  const oldestMs = Math.min(...own.map(({ LaunchTime }) => LaunchTime?.getTime() ?? Infinity));
  if (desk.clock.nowMs() - oldestMs < VISIBLE_AFTER_MS) throw notAllVisible(request, error);
  return { launched, refusals: offers.map((offer) => noMoreOf(offer, launched.length)) };
}

/** The machines that a batch has, whichever calls they came of. */
async function batchLaunched(desk: RentDesk, request: RentRequest): Promise<readonly Launched[]> {
  return launchedAmong(await batchInstances(desk, request), request);
}

function batchInstances(desk: RentDesk, request: RentRequest): Promise<readonly Instance[]> {
  return ownInstances(desk, request, {
    name: `tag:${BATCH_TAG}`,
    values: [request.clientToken],
  });
}

/** Instances with the offers that they are of; the best offer for one that is of none. */
function launchedAmong(
  instances: readonly Instance[],
  { offers }: RentRequest,
): readonly Launched[] {
  return instances.flatMap(({ InstanceId, InstanceType, Placement }) => {
    const ofType = offers.filter(({ instanceType }) => instanceType === InstanceType);
    const inZone = ofType.find(({ zone }) => zone === Placement?.AvailabilityZone);
    const offer = inZone ?? ofType[0] ?? offers[0];
    return InstanceId === undefined || offer === undefined
      ? []
      : [{ instanceId: InstanceId, offer }];
  });
}

function notAllVisible(request: RentRequest, cause?: unknown): PlatformError {
  return new PlatformError(
    `could not ${attemptOf(request)}: its token was used before, and not all that came of it ` +
      "may be visible yet; repeat it",
    { code: "unavailable", retryable: true, details: detailsOf(request), cause },
  );
}

/** Instances that were launched for the same nodes; none when the token served others. */
async function ownInstances(
  { calls, clusterId }: RentDesk,
  request: RentRequest,
  filter: { readonly name: string; readonly values: readonly string[] },
): Promise<readonly Instance[]> {
  const instances = await listInstances(calls, [ofCluster(clusterId), filter]);
  const fingerprint = nodesFingerprint(request);
  const isOurs = instances.every(
    (instance) => providerNodeOf(calls.region, instance).tags[NODES_TAG] === fingerprint,
  );
  return isOurs ? instances : [];
}

function noMoreOf({ offerId, instanceType }: Offer, count: number): RentRefusal {
  const reason = `EC2 had ${count} ${instanceType} and no more`;
  return { offerId, reason, scope: { kind: "offer" } };
}

/** The request's own token where it is the only one; else one for each offer. */
function tokenOf({ clientToken, offers }: RentRequest, { offerId }: Offer): string {
  if (offers.length === 1) return clientToken;
  return createHash("sha256").update(`${clientToken} ${offerId}`).digest("hex");
}
