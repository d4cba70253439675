/**
 * Instant fleets: one CreateFleet for a whole batch and all its offers.
 *
 * A fleet launches what a launch template says. The template is named by a hash of its content,
 * made before the fleet and deleted after it; a replay finds it or makes it again. The answer
 * is a success that carries instances and errors side by side, or neither, which is capacity.
 *
 * Errors of the service inside the answer (a throttle, an internal error) say nothing about the
 * offers: what is missing because of them is asked for again under a token derived from the
 * request's, so that a replay goes through the same tries.
 */
import { createHash } from "node:crypto";
import type { CreateFleetCommandOutput, CreateFleetError } from "@aws-sdk/client-ec2";
import { PlatformError, type Offer } from "../../core/index.ts";
import type { RentRefusal, RentRequest } from "../provider.ts";
import { attemptOf, detailsOf } from "../rent-request.ts";
import type { Ec2Calls } from "./calls.ts";
import { fleetInput, templateOf, type LaunchSettings } from "./launch.ts";
import {
  foreignAnswer,
  isServiceTrouble,
  meaningOf,
  meaningOfCode,
  platformErrorOf,
  refusalOf,
} from "./translate.ts";

/** An instance, and the offer that it came of. */
export interface Launched {
  readonly instanceId: string;
  readonly offer: Offer;
}

/** What offers gave and refused. */
export interface LaunchResult {
  readonly launched: readonly Launched[];
  readonly refusals: readonly RentRefusal[];
}

/** What a fleet came to. */
export type FleetResult =
  | ({ readonly kind: "answered" } & LaunchResult)
  /** This account may not make fleets. */
  | { readonly kind: "forbidden" }
  /** The token was used with other parameters: look for what came of it. */
  | { readonly kind: "mismatch"; readonly error: unknown };

const TRY_COUNT_MAX = 3;
/** A new template may be unknown to CreateFleet for a moment. */
const TEMPLATE_TRY_COUNT_MAX = 3;

/** Rents by one fleet, or by some when the service stumbles. */
export async function rentByFleet(
  calls: Ec2Calls,
  request: RentRequest,
  settings: LaunchSettings,
): Promise<FleetResult> {
  const launched: Launched[] = [];
  for (let tried = 1; ; tried += 1) {
    const count = request.nodeIds.length - launched.length;
    const part = { count, clientToken: tokenOf(request, tried) };
    const answer = await createFleet(calls, request, { part, settings });
    if (answer.kind !== "answered") return answer;
    const { output } = answer;
    launched.push(...launchedOf(request, output));
    const isComplete = launched.length >= request.nodeIds.length;
    if (!isComplete && hasServiceTrouble(output) && tried < TRY_COUNT_MAX) continue;
    await deleteTemplate(calls, request, settings);
    const named = namedRefusals(request, output);
    const isSilent = named.length === 0 && !isComplete;
    const refusals = isSilent ? silentRefusals(request, output, launched) : named;
    return { kind: "answered", launched, refusals };
  }
}

type FleetAnswer =
  | { readonly kind: "answered"; readonly output: CreateFleetCommandOutput }
  | Exclude<FleetResult, { kind: "answered" }>;

interface FleetTry {
  readonly part: { readonly count: number; readonly clientToken: string };
  readonly settings: LaunchSettings;
}

async function createFleet(
  calls: Ec2Calls,
  request: RentRequest,
  { part, settings }: FleetTry,
): Promise<FleetAnswer> {
  const template = templateOf(request, settings);
  const input = fleetInput(request, { ...part, templateName: template.name }, settings);
  for (let tried = 1; ; tried += 1) {
    try {
      await ensureTemplate(calls, template.input);
      const output = await calls.createFleet(input);
      if (output.FleetId === undefined) throw foreignAnswer(attemptOf(request), detailsOf(request));
      return { kind: "answered", output };
    } catch (error) {
      if (error instanceof PlatformError) throw error;
      const meaning = meaningOf(error);
      if (meaning?.kind === "failed") {
        if (meaning.code === "not_found" && tried < TEMPLATE_TRY_COUNT_MAX) continue;
        if (meaning.code === "conflict") return { kind: "mismatch", error };
        if (isForbidden(error)) return { kind: "forbidden" };
      }
      throw platformErrorOf(error, attemptOf(request), detailsOf(request));
    }
  }
}

/** Makes the template; that it is there already is as good. */
async function ensureTemplate(
  calls: Ec2Calls,
  input: ReturnType<typeof templateOf>["input"],
): Promise<void> {
  try {
    await calls.createLaunchTemplate(input);
  } catch (error) {
    if (error instanceof Error && error.name === TEMPLATE_EXISTS) return;
    throw error;
  }
}

const TEMPLATE_EXISTS = "InvalidLaunchTemplateName.AlreadyExistsException";

/** Best effort: a template that stays behind is swept later. */
async function deleteTemplate(
  calls: Ec2Calls,
  request: RentRequest,
  settings: LaunchSettings,
): Promise<void> {
  try {
    await calls.deleteLaunchTemplate(templateOf(request, settings).name);
  } catch (error) {
    if (!(error instanceof PlatformError) && meaningOf(error) === undefined) throw error;
  }
}

/** Not being allowed to make fleets or templates says nothing about RunInstances. */
function isForbidden(error: unknown): boolean {
  return error instanceof Error && error.name === "UnauthorizedOperation";
}

function launchedOf(request: RentRequest, output: CreateFleetCommandOutput): readonly Launched[] {
  return (output.Instances ?? []).flatMap((group) => {
    const { InstanceType, LaunchTemplateAndOverrides } = group;
    const offer = offerOf(request, {
      instanceType: InstanceType ?? LaunchTemplateAndOverrides?.Overrides?.InstanceType,
      zone: LaunchTemplateAndOverrides?.Overrides?.AvailabilityZone,
    });
    return (group.InstanceIds ?? []).map((instanceId) => ({ instanceId, offer }));
  });
}

/** Offers that EC2 says it had no more of, each once. */
function namedRefusals(
  request: RentRequest,
  output: CreateFleetCommandOutput,
): readonly RentRefusal[] {
  const refusals = new Map<string, RentRefusal>();
  for (const error of output.Errors ?? []) {
    for (const refusal of refusalsIn(request, error)) {
      if (!refusals.has(refusal.offerId)) refusals.set(refusal.offerId, refusal);
    }
  }
  return [...refusals.values()];
}

/** What a fleet that is short and does not say why speaks of: offers that gave nothing. */
function silentRefusals(
  request: RentRequest,
  output: CreateFleetCommandOutput,
  launched: readonly Launched[],
): readonly RentRefusal[] {
  if (launched.length === 0 && hasServiceTrouble(output)) throw troubled(request, output);
  const gave = new Set(launched.map(({ offer }) => offer.offerId));
  const dry = request.offers.filter(({ offerId }) => !gave.has(offerId));
  const reason = "EC2 launched fewer instances than asked for and did not say why";
  return (dry.length > 0 ? dry : request.offers).map(({ offerId }) => ({
    offerId,
    reason,
    scope: { kind: "offer" },
  }));
}

/** What one error says; one of the whole fleet names no type and speaks of all offers. */
function refusalsIn(request: RentRequest, error: CreateFleetError): readonly RentRefusal[] {
  const { ErrorCode = "", ErrorMessage = "", LaunchTemplateAndOverrides } = error;
  const meaning = meaningOfCode(ErrorCode);
  if (isServiceTrouble(meaning)) return [];
  const { InstanceType, AvailabilityZone } = LaunchTemplateAndOverrides?.Overrides ?? {};
  const concerned =
    InstanceType === undefined
      ? request.offers
      : [offerOf(request, { instanceType: InstanceType, zone: AvailabilityZone })];
  const reason = `${ErrorCode}: ${ErrorMessage}`;
  return concerned.map((offer) => refusalOf(offer, { meaning, reason }));
}

function troubled(request: RentRequest, { Errors = [] }: CreateFleetCommandOutput): PlatformError {
  const words = Errors.map(({ ErrorCode, ErrorMessage }) => `${ErrorCode}: ${ErrorMessage}`);
  return new PlatformError(
    `could not ${attemptOf(request)}: ${words.join("; ")}; wait and repeat it`,
    { code: "rate_limited", retryable: true, details: detailsOf(request) },
  );
}

function hasServiceTrouble({ Errors = [] }: CreateFleetCommandOutput): boolean {
  return Errors.some(({ ErrorCode = "" }) => isServiceTrouble(meaningOfCode(ErrorCode)));
}

/** The offer of a type and zone; the best of the type when the zone is not one of ours. */
function offerOf(
  { offers }: RentRequest,
  of: { readonly instanceType: string | undefined; readonly zone: string | undefined },
): Offer {
  const ofType = offers.filter(({ instanceType }) => instanceType === of.instanceType);
  const offer = ofType.find(({ zone }) => zone === of.zone) ?? ofType[0] ?? offers[0];
  if (offer !== undefined) return offer;
  throw new Error("a fleet was made for no offer");
}

function tokenOf({ clientToken }: RentRequest, tried: number): string {
  if (tried === 1) return clientToken;
  return createHash("sha256").update(`${clientToken} ${tried}`).digest("hex");
}
