/**
 * The EC2 endpoint: one call of the Query protocol in, one document out.
 *
 * The region is the one in the credential scope of the signature, so that one address serves
 * all regions. The signature itself is not checked: any key is good.
 */
import { redacted, type CallJournal, type CallRecord } from "../shared/call-journal.ts";
import type { FaultBoard } from "../shared/fault-board.ts";
import { lineAnswer } from "../shared/line-effect.ts";
import type { NoAnswer, WholeAnswer, WholeRequest } from "../shared/loopback-server.ts";
import { ACTIONS } from "./actions/index.ts";
import { Ec2Error } from "./ec2-error.ts";
import { describeEffect, type Fault } from "./faults.ts";
import { hex } from "./fleet.ts";
import { parseQuery, type QueryParams } from "./query.ts";
import { isWithinRate } from "./rate-limits.ts";
import type { World } from "./world.ts";
import { errorDocument, responseDocument } from "./xml.ts";

const API_VERSION = "2016-11-15";
const SECRET_PARAM = "UserData";
const XML_TYPE = "text/xml;charset=UTF-8";

/** One received call, as the journal keeps it; its place is its region. */
export interface Ec2Record extends CallRecord {
  readonly requestId: string;
  /** The client's count of its tries, from `amz-sdk-request`; 1 when it did not say. */
  readonly attempt: number;
  /** Equal over the tries of one SDK call; empty when the client did not say. */
  readonly invocationId: string;
}

export interface EndpointState {
  readonly world: World;
  readonly faults: FaultBoard<Fault>;
  readonly journal: CallJournal<Ec2Record>;
}

interface Call {
  readonly action: string;
  readonly region: string;
  readonly params: QueryParams;
  readonly requestId: string;
}

/** What became of a call. */
interface Outcome {
  readonly answer: WholeAnswer | NoAnswer;
  readonly applied: boolean;
  readonly failure?: string;
}

/** Answers one call, or does to it what a fault demands. */
export function answerQuery(
  { world, faults, journal }: EndpointState,
  request: WholeRequest,
): WholeAnswer | NoAnswer {
  const call = callOf(world, request);
  const { answer, applied, failure } = outcomeOf(world, faults, call);
  const { action, region: place, params, requestId } = call;
  const tries = /attempt=(\d+)/.exec(request.header("amz-sdk-request"));
  journal.add({
    atMs: world.clock.nowMs(),
    action,
    place,
    params: journalled(params),
    requestId,
    attempt: Number(tries?.[1] ?? 1),
    invocationId: request.header("amz-sdk-invocation-id"),
    applied,
    ...(typeof answer === "string" ? {} : { status: answer.status }),
    ...(failure === undefined ? {} : { failure }),
  });
  return answer;
}

function outcomeOf(world: World, faults: FaultBoard<Fault>, call: Call): Outcome {
  const { action, region: place, params } = call;
  if (!isWithinRate(world, action)) return throttled(call);
  const fault = faults.take({ action, place, params });
  return fault === undefined ? apply(world, call) : struck(world, call, fault);
}

function throttled(call: Call): Outcome {
  const error = new Ec2Error("RequestLimitExceeded", "Request limit exceeded.", 503);
  return { answer: errorAnswer(call, error), applied: false, failure: error.code };
}

function callOf(world: World, request: WholeRequest): Call {
  const params = parseQuery(request.body);
  return {
    action: params.get("Action") ?? "",
    region: regionOf(request.header("authorization")),
    params,
    requestId: uuid(world),
  };
}

function struck(world: World, call: Call, fault: Fault): Outcome {
  const applied = fault.when === "after" && apply(world, call).applied;
  return { answer: faultAnswer(fault, call), applied, failure: describeEffect(fault.effect) };
}

function apply(world: World, call: Call): Outcome {
  const { action, region, params, requestId } = call;
  try {
    checkCall(world, call);
    const handler = ACTIONS.get(action);
    if (handler === undefined) throw unknownAction(action);
    const body = responseDocument(action, requestId, handler(world, { region, params }));
    return { answer: xmlAnswer(200, requestId, body), applied: true };
  } catch (error) {
    if (!(error instanceof Ec2Error)) throw error;
    return { answer: errorAnswer(call, error), applied: false, failure: error.code };
  }
}

function checkCall(world: World, { region, params }: Call): void {
  if (region === "") {
    throw new Ec2Error(
      "AuthFailure",
      "AWS was not able to validate the provided access credentials",
      401,
    );
  }
  if (!world.regions.includes(region)) {
    const message = `Credential should be scoped to a valid region; ${region} is not emulated.`;
    throw new Ec2Error("SignatureDoesNotMatch", message, 403);
  }
  const version = params.get("Version") ?? "";
  if (version === API_VERSION) return;
  throw new Ec2Error("NoSuchVersion", `The requested version (${version}) is not supported`);
}

function unknownAction(action: string): Ec2Error {
  const message = `The action ${action} is not valid for this web service.`;
  return new Ec2Error("InvalidAction", message);
}

function errorAnswer({ requestId }: Call, { code, message, status }: Ec2Error): WholeAnswer {
  return xmlAnswer(status, requestId, errorDocument(requestId, code, message));
}

function xmlAnswer(status: number, requestId: string, body: string): WholeAnswer {
  return { status, headers: { "content-type": XML_TYPE, "x-amzn-requestid": requestId }, body };
}

/** What a fault answers. */
function faultAnswer({ effect }: Fault, call: Call): WholeAnswer | NoAnswer {
  if (effect.kind !== "error") return lineAnswer(effect);
  const { code, message = `Injected ${code}`, status } = effect;
  return errorAnswer(call, new Ec2Error(code, message, status));
}

/** The parameters as sent, but user data only by its length: it may hold secrets. */
function journalled(params: QueryParams): CallRecord["params"] {
  const shown = [...params].map(([name, value]) => {
    const isSecret = name === SECRET_PARAM || name.endsWith(`.${SECRET_PARAM}`);
    return [name, isSecret ? redacted(value) : value] as const;
  });
  return Object.fromEntries(shown);
}

/** The region of a SigV4 header; empty when there is none. */
function regionOf(authorization: string): string {
  return /Credential=[^/]+\/\d{8}\/([a-z0-9-]+)\/ec2\/aws4_request/.exec(authorization)?.[1] ?? "";
}

function uuid({ rng }: World): string {
  return [8, 4, 4, 4, 12].map((length) => hex(rng, length)).join("-");
}
