/**
 * Renting: one offer after the other, each of them one call in its zone.
 *
 * Machines are named after their nodes and carry the batch's token from their first moment. What
 * makes a repeated request harmless, in this order: machines of the batch that are listed are
 * taken as they are; the same step has the same request id, for which Compute Engine gives the
 * operation of the first time; a name can be used once in a zone. The next offer is tried only
 * when the operation of the one before is DONE, so that no node gets two machines.
 *
 * Limit: Compute Engine forgets request ids some time after (it does not say when). A request
 * that is repeated later than that, after machines of it have been deleted, rents them again; and
 * if such machines are missing from the list at that very moment, the next zone may be tried.
 */
import { assertNever, PlatformError, type Clock, type Offer } from "../../core/index.ts";
import {
  BATCH_TAG,
  type RentedMachine,
  type RentOutcome,
  type RentRefusal,
  type RentRequest,
} from "../provider.ts";
import { attemptOf, detailsOf } from "../rent-request.ts";
import { incomplete, type GcpCalls, type GcpInstance, type GcpOperation } from "./calls.ts";
import {
  bulkBody,
  CLUSTER_TAG,
  instanceBody,
  instanceTypeOf,
  lastOf,
  namesOf,
  stepIdOf,
} from "./launch.ts";
import type { LaunchSettings } from "./launch.ts";
import { machineRefOf } from "./listing.ts";
import { providerNodeIdOf, tagFilter, tagsOf, type MachineRef } from "./names.ts";
import {
  foreignAnswer,
  meaningOf,
  meaningOfOperation,
  operationErrorOf,
  platformErrorOf,
  scopeOf,
  type GcpMeaning,
  type OperationFailure,
} from "./translate.ts";

/** What renting needs beside the request. */
export interface RentMeans {
  readonly calls: GcpCalls;
  readonly clock: Clock;
  readonly settings: LaunchSettings;
  /** Longest wait for an operation; after it the outcome is unknown. */
  readonly operationMsMax: number;
}

/** A machine that there is, and the offer that it is of. */
interface Found extends MachineRef {
  readonly offerId: string;
}

/** What an offer led to. */
interface Step {
  readonly found: readonly Found[];
  readonly refusal?: RentRefusal;
}

/** Rents for all nodes of a request, as far as its offers go. */
export async function rentMachines(means: RentMeans, request: RentRequest): Promise<RentOutcome> {
  const names = namesOf(request);
  const found = new Map<string, Found>();
  const refusals: RentRefusal[] = [];
  const take = (machines: readonly Found[]): void => {
    for (const machine of machines) found.set(machine.name, machine);
    refuseStrangers(request, [...names.values()], machines);
  };
  take(await listedMachines(means, request));
  for (const offer of request.offers) {
    const missing = [...names.values()].filter((name) => !found.has(name));
    if (missing.length === 0) break;
    const known = refusals.find((refusal) => bindsToo(refusal, offer));
    if (known !== undefined) {
      refusals.push({ ...known, offerId: offer.offerId });
      continue;
    }
    const step = await rentFrom(means, request, { offer, names: missing });
    take(step.found);
    if (step.refusal !== undefined) refusals.push(step.refusal);
  }
  const rented = request.nodeIds.flatMap((nodeId): readonly RentedMachine[] => {
    const machine = found.get(names.get(nodeId) ?? "");
    if (machine === undefined) return [];
    return [{ nodeId, providerNodeId: providerNodeIdOf(machine), offerId: machine.offerId }];
  });
  return { rented, refusals };
}

/** A refusal of a quota, or of the account, speaks of other offers as well. */
function bindsToo({ scope }: RentRefusal, offer: Offer): boolean {
  if (scope.kind === "quota") return offer.quotaGroups.includes(scope.quotaGroup);
  return scope.kind === "cloud";
}

/** The token of a request with other nodes must not serve these. */
function refuseStrangers(
  request: RentRequest,
  names: readonly string[],
  machines: readonly Found[],
): void {
  const stranger = machines.find(({ name }) => !names.includes(name));
  if (stranger === undefined) return;
  throw new PlatformError(
    `cannot ${attemptOf(request)}: its client token was used for the machine ${stranger.name}; ` +
      "use a new client token",
    { code: "conflict", retryable: false, details: detailsOf(request) },
  );
}

/** Machines of the batch that are listed by now. */
async function listedMachines(
  { calls, settings }: RentMeans,
  request: RentRequest,
): Promise<readonly Found[]> {
  const filter = [
    tagFilter(CLUSTER_TAG, settings.clusterId),
    tagFilter(BATCH_TAG, request.clientToken),
  ].join(" AND ");
  const { items, unseenZones } = await calls.aggregateInstances(filter);
  // A machine of the batch can only be in a zone of its offers: others need not be seen.
  const hidden = request.offers.find(({ zone = "" }) => unseenZones.includes(zone));
  if (hidden !== undefined) throw incomplete(attemptOf(request), `zones/${hidden.zone ?? ""}`);
  return items.map((instance) => ({
    ...machineRefOf(instance),
    offerId: offerOf(request, instance),
  }));
}

function offerOf(request: RentRequest, instance: GcpInstance): string {
  const zone = lastOf(instance.zone ?? "");
  const type = instanceTypeOf(instance);
  const offer = request.offers.find((one) => one.zone === zone && one.instanceType === type);
  if (offer !== undefined) return offer.offerId;
  throw new PlatformError(
    `cannot ${attemptOf(request)}: its client token was used for ${type} in ${zone}, which is ` +
      "none of its offers; use a new client token",
    { code: "conflict", retryable: false, details: detailsOf(request) },
  );
}

interface StepPlan {
  readonly offer: Offer;
  readonly names: readonly string[];
}

async function rentFrom(means: RentMeans, request: RentRequest, plan: StepPlan): Promise<Step> {
  const { offer } = plan;
  const zone = zoneOf(request, offer);
  let operation: GcpOperation;
  try {
    operation = await begin(means, request, { ...plan, zone });
  } catch (error) {
    const meaning = meaningOf(error);
    if (meaning?.kind === "exists") return { found: await adopted(means, request, plan.names) };
    const message = error instanceof Error ? error.message : String(error);
    if (meaning?.kind === "refused")
      return { found: [], refusal: refusalOf(offer, meaning, message) };
    throw platformErrorOf(error, attemptOf(request), detailsOf(request));
  }
  const done = await whenDone(means, request, { zone, operation });
  return request.nodeIds.length === 1
    ? single(means, request, { ...plan, zone, done })
    : many(means, request, { ...plan, zone, done });
}

function begin(
  { calls, settings }: RentMeans,
  request: RentRequest,
  { offer, names, zone }: StepPlan & { readonly zone: string },
): Promise<GcpOperation> {
  const at = { zone, requestId: stepIdOf(request, offer) };
  const [name] = names;
  if (request.nodeIds.length === 1 && name !== undefined) {
    return calls.insert(at, instanceBody(request, { offer, zone, name }, settings));
  }
  return calls.bulkInsert(at, bulkBody(request, { offer, names }, settings));
}

interface DoneStep extends StepPlan {
  readonly zone: string;
  readonly done: GcpOperation;
}

async function single(means: RentMeans, request: RentRequest, step: DoneStep): Promise<Step> {
  const { done } = step;
  const failure = failureOf(done);
  if (failure === undefined) {
    const machine = targetOf(done, step);
    if (machine === undefined) throw foreignAnswer(attemptOf(request), detailsOf(request));
    return { found: [machine] };
  }
  return afterFailure(means, request, { ...step, failure });
}

/**
 * What a bulk insert led to, by the operations of its machines: these tell names and numbers
 * even of machines that are not listed yet, or no more. Where they do not, the list is asked.
 */
async function many(means: RentMeans, request: RentRequest, step: DoneStep): Promise<Step> {
  const { offer, zone, done } = step;
  const failure = failureOf(done);
  if (failure !== undefined) return afterFailure(means, request, { ...step, failure });
  const counts = countsOf(done);
  if (counts === undefined) throw foreignAnswer(attemptOf(request), detailsOf(request));
  const children = await childrenOf(means, zone, done);
  const made = children.filter((child) => failureOf(child) === undefined);
  const told = made.flatMap((child) => targetOf(child, step) ?? []);
  const found = told.length < counts.created ? await listedMachines(means, request) : told;
  if (found.length < counts.created) throw notYetListed(request, counts.created, found.length);
  const taken = children.filter((child) => isTaken(child));
  const names = taken.map(({ targetLink }) => lastOf(targetLink ?? ""));
  const present = names.length === 0 ? [] : await adopted(means, request, names);
  const all = [...found, ...present];
  if (counts.created + present.length >= counts.target) return { found: all };
  const reasons = children.flatMap((child) => (isTaken(child) ? [] : (failureOf(child) ?? [])));
  const message = `there are no more ${offer.instanceType}`;
  const [first = { code: "ZONE_RESOURCE_POOL_EXHAUSTED", message }] = reasons;
  const rest = await afterFailure(means, request, { ...step, failure: first });
  return { ...rest, found: all };
}

function isTaken(child: GcpOperation): boolean {
  const failure = failureOf(child);
  return failure !== undefined && meaningOfOperation(failure).kind === "exists";
}

async function childrenOf(
  { calls }: RentMeans,
  zone: string,
  { operationGroupId }: GcpOperation,
): Promise<readonly GcpOperation[]> {
  if (operationGroupId === undefined || operationGroupId === null) return [];
  const group = await calls.listOperations(zone, `operationGroupId = "${operationGroupId}"`);
  return group.filter(({ operationType }) => operationType === "insert");
}

/** A refusal, with the machines that were there already; or an error. */
async function afterFailure(
  means: RentMeans,
  request: RentRequest,
  { offer, names, failure }: DoneStep & { readonly failure: OperationFailure },
): Promise<Step> {
  const meaning = meaningOfOperation(failure);
  const reason = `${failure.code}: ${failure.message}`;
  switch (meaning.kind) {
    case "failed":
      throw operationErrorOf(failure, attemptOf(request), detailsOf(request));
    case "refused":
      return { found: [], refusal: refusalOf(offer, meaning, reason) };
    case "exists":
      return { found: await adopted(means, request, names) };
    default:
      return assertNever(meaning, "meaning of an operation");
  }
}

/**
 * The machines of this batch that have the names, of which at least one is taken.
 *
 * @throws PlatformError when some are not there: `conflict` when another machine has the first
 *   of these names, and else `unavailable`, for a list may lag behind.
 */
async function adopted(
  means: RentMeans,
  request: RentRequest,
  names: readonly string[],
): Promise<readonly Found[]> {
  const found = (await listedMachines(means, request)).filter(({ name }) => names.includes(name));
  const name = names.find((one) => found.every((machine) => machine.name !== one));
  if (name === undefined) return found;
  const { items: holders } = await means.calls.aggregateInstances(`name = "${name}"`);
  const isForeign = holders.some(({ labels }) => !isOfBatch(labels ?? {}, means, request));
  const what = isForeign ? "another machine has" : "a machine that is not listed yet has";
  const next = isForeign ? "use new node ids" : "repeat it with the same token";
  throw new PlatformError(`could not ${attemptOf(request)}: ${what} the name ${name}; ${next}`, {
    code: isForeign ? "conflict" : "unavailable",
    retryable: !isForeign,
    details: { ...detailsOf(request), name },
  });
}

function isOfBatch(
  labels: Readonly<Record<string, string>>,
  { settings }: RentMeans,
  { clientToken }: RentRequest,
): boolean {
  const tags = tagsOf(labels);
  return tags[CLUSTER_TAG] === settings.clusterId && tags[BATCH_TAG] === clientToken;
}

/**
 * The operation when it is DONE.
 *
 * @throws PlatformError `timed_out` when it is not in time: it may yet take effect.
 */
async function whenDone(
  { calls, clock, operationMsMax }: RentMeans,
  request: RentRequest,
  { zone, operation }: { readonly zone: string; readonly operation: GcpOperation },
): Promise<GcpOperation> {
  const { name } = operation;
  if (name === undefined || name === null) {
    throw foreignAnswer(attemptOf(request), detailsOf(request));
  }
  const deadlineMs = clock.nowMs() + operationMsMax;
  let latest = operation;
  let failure: unknown;
  while (latest.status !== "DONE") {
    if (clock.nowMs() >= deadlineMs) throw stillRunning(request, name, failure);
    try {
      latest = await calls.waitOperation(zone, name);
      if (latest.status !== "DONE") await clock.sleep(POLL_MS);
    } catch (error) {
      if (!isPassing(error)) throw platformErrorOf(error, attemptOf(request), detailsOf(request));
      failure = error;
      await clock.sleep(POLL_MS);
    }
  }
  return latest;
}

/** Between two looks at an operation. Source: karpenter-provider-gcp (read 2026-11). */
const POLL_MS = 1_000;

/** Whether an error of a wait may be gone the next time. */
function isPassing(error: unknown): boolean {
  if (error instanceof PlatformError) return error.retryable;
  const meaning = meaningOf(error);
  return meaning?.kind === "failed" && meaning.retryable;
}

function stillRunning(request: RentRequest, name: string, cause: unknown): PlatformError {
  return new PlatformError(
    `could not ${attemptOf(request)}: ${name} is not done in time; repeat it with the same token`,
    {
      code: "timed_out",
      retryable: true,
      details: { ...detailsOf(request), operation: name },
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

function notYetListed(request: RentRequest, created: number, listed: number): PlatformError {
  return new PlatformError(
    `could not ${attemptOf(request)}: ${created} machines were made and ${listed} are listed; ` +
      "repeat it with the same token",
    { code: "unavailable", retryable: true, details: detailsOf(request) },
  );
}

function refusalOf(
  offer: Offer,
  meaning: Extract<GcpMeaning, { readonly kind: "refused" }>,
  reason: string,
): RentRefusal {
  return { offerId: offer.offerId, reason, scope: scopeOf(meaning, reason, offer) };
}

/** The error of an operation; of several, one that speaks of a machine that there is. */
function failureOf({ error }: GcpOperation): OperationFailure | undefined {
  const failures = (error?.errors ?? []).map(({ code, message }) => ({
    code: code ?? "UNKNOWN",
    message: message ?? "",
  }));
  return failures.find((one) => meaningOfOperation(one).kind === "exists") ?? failures[0];
}

/** The machine that an insert made; undefined when the operation does not say. */
function targetOf({ targetLink, targetId }: GcpOperation, step: DoneStep): Found | undefined {
  const name = lastOf(targetLink ?? "");
  const instanceId = String(targetId ?? "");
  if (name === "" || instanceId === "") return undefined;
  return { zone: step.zone, name, instanceId, offerId: step.offer.offerId };
}

function countsOf({ instancesBulkInsertOperationMetadata }: GcpOperation) {
  const perLocation = instancesBulkInsertOperationMetadata?.perLocationStatus;
  if (perLocation === undefined || perLocation === null) return undefined;
  const [status] = Object.values(perLocation);
  return { target: status?.targetVmCount ?? 0, created: status?.createdVmCount ?? 0 };
}

function zoneOf(request: RentRequest, { offerId, zone }: Offer): string {
  if (zone !== undefined) return zone;
  throw new PlatformError(
    `cannot ${attemptOf(request)}: the offer ${offerId} names no zone; list the offers again`,
    { code: "invalid_request", retryable: false, details: detailsOf(request) },
  );
}
