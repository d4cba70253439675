/**
 * The EC2 endpoint: one call of the Query protocol in, one document out.
 *
 * The region is the one in the credential scope of the signature, so that one address serves
 * all regions. The signature itself is not checked: any key is good.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { assertNever } from "../../../core/index.ts";
import { ACTIONS } from "./actions/index.ts";
import { Ec2Error } from "./ec2-error.ts";
import { describeEffect, type Fault, type FaultBoard } from "./faults.ts";
import { hex } from "./fleet.ts";
import { headerOf, send, type Answer } from "./http.ts";
import type { Journal } from "./journal.ts";
import { parseQuery, type QueryParams } from "./query.ts";
import type { World } from "./world.ts";
import { errorDocument, responseDocument } from "./xml.ts";

const API_VERSION = "2016-11-15";
const XML_TYPE = "text/xml;charset=UTF-8";

export interface EndpointState {
  readonly world: World;
  readonly faults: FaultBoard;
  readonly journal: Journal;
}

interface Call {
  readonly action: string;
  readonly region: string;
  readonly params: QueryParams;
  readonly requestId: string;
}

/** What became of a call; without an answer the client hears nothing. */
interface Outcome {
  readonly answer?: Answer;
  readonly applied: boolean;
  readonly failure?: string;
}

/** Answers one call, or does to it what a fault demands. */
export function answerQuery(
  { world, faults, journal }: EndpointState,
  request: IncomingMessage,
  body: string,
  response: ServerResponse,
): void {
  const call = callOf(world, request, body);
  const isWithinRate = world.limits.take(call.action);
  const fault = isWithinRate ? faults.take(call.action, call.region, call.params) : undefined;
  const outcome = isWithinRate ? outcomeOf(world, call, fault) : throttled(call);
  const { answer, applied, failure } = outcome;
  const tries = /attempt=(\d+)/.exec(headerOf(request, "amz-sdk-request"));
  const { params, ...what } = call;
  journal.add(
    {
      ...what,
      atMs: world.clock.nowMs(),
      attempt: Number(tries?.[1] ?? 1),
      invocationId: headerOf(request, "amz-sdk-invocation-id"),
      applied,
      ...(answer === undefined ? {} : { status: answer.status }),
      ...(failure === undefined ? {} : { failure }),
    },
    params,
  );
  if (answer !== undefined) send(response, answer, { "x-amzn-requestid": call.requestId });
  else if (fault?.effect.kind === "reset") request.socket.resetAndDestroy();
}

function outcomeOf(world: World, call: Call, fault: Fault | undefined): Outcome {
  return fault === undefined ? apply(world, call) : struck(world, call, fault);
}

function throttled(call: Call): Outcome {
  const error = new Ec2Error("RequestLimitExceeded", "Request limit exceeded.", 503);
  return { answer: errorAnswer(call, error), applied: false, failure: error.code };
}

function callOf(world: World, request: IncomingMessage, body: string): Call {
  const params = parseQuery(body);
  return {
    action: params.get("Action") ?? "",
    region: regionOf(headerOf(request, "authorization")),
    params,
    requestId: uuid(world),
  };
}

function struck(world: World, call: Call, fault: Fault): Outcome {
  const applied = fault.when === "after" && apply(world, call).applied;
  const answer = faultAnswer(fault, call);
  const failure = describeEffect(fault.effect);
  return { applied, failure, ...(answer === undefined ? {} : { answer }) };
}

function apply(world: World, call: Call): Outcome {
  const { action, region, params, requestId } = call;
  try {
    checkCall(world, call);
    const handler = ACTIONS.get(action);
    if (handler === undefined) throw unknownAction(action);
    const body = responseDocument(action, requestId, handler(world, { region, params }));
    return { answer: { status: 200, contentType: XML_TYPE, body }, applied: true };
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

function errorAnswer({ requestId }: Call, { code, message, status }: Ec2Error): Answer {
  return { status, contentType: XML_TYPE, body: errorDocument(requestId, code, message) };
}

/** What a fault answers; undefined for those that answer nothing. */
function faultAnswer({ effect }: Fault, call: Call): Answer | undefined {
  switch (effect.kind) {
    case "error": {
      const { code, message = `Injected ${code}`, status } = effect;
      return errorAnswer(call, new Ec2Error(code, message, status));
    }
    case "body":
      return effect;
    case "reset":
    case "hang":
      return undefined;
    default:
      return assertNever(effect, "fault effect");
  }
}

/** The region of a SigV4 header; empty when there is none. */
function regionOf(authorization: string): string {
  return /Credential=[^/]+\/\d{8}\/([a-z0-9-]+)\/ec2\/aws4_request/.exec(authorization)?.[1] ?? "";
}

function uuid({ rng }: World): string {
  return [8, 4, 4, 4, 12].map((length) => hex(rng, length)).join("-");
}
