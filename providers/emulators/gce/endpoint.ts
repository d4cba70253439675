/**
 * The REST endpoint: one call in, one document out, as it is or as a fault has it.
 *
 * Credentials are not checked: any are good, and so are none.
 */
import { redacted, type CallJournal, type CallRecord } from "../shared/call-journal.ts";
import type { FaultBoard } from "../shared/fault-board.ts";
import { lineAnswer } from "../shared/line-effect.ts";
import {
  jsonAnswer,
  type NoAnswer,
  type WholeAnswer,
  type WholeRequest,
} from "../shared/loopback-server.ts";
import type { RequestBudget } from "../shared/request-budget.ts";
import { describeEffect, type Fault } from "./faults.ts";
import { errorDocument, GceError } from "./gce-error.ts";
import { routeOf, type Routed } from "./routes.ts";
import type { World } from "./world.ts";

/** Where the API begins. */
export const API_PREFIX = "/compute/v1/projects/";

export interface EndpointState {
  readonly world: World;
  readonly faults: FaultBoard<Fault>;
  /** Kinds of requests: `read` and `change`. */
  readonly budget: RequestBudget;
  readonly journal: CallJournal<CallRecord>;
}

interface Call extends Routed {
  readonly params: ReadonlyMap<string, string>;
  readonly place: string;
  readonly body: unknown;
  readonly isRead: boolean;
}

interface Outcome {
  readonly answer: WholeAnswer | NoAnswer;
  readonly applied: boolean;
  readonly failure?: string;
}

/** Answers one call, or does to it what a fault demands. */
export async function answerCall(
  state: EndpointState,
  request: WholeRequest,
): Promise<WholeAnswer | NoAnswer> {
  const { world, journal } = state;
  const call = callOf(world, request);
  if (call instanceof GceError) return errorAnswer(call);
  const atMs = world.clock.nowMs();
  const { answer, applied, failure } = await outcomeOf(state, call);
  journal.add({
    atMs,
    action: call.action,
    place: call.place,
    params: journalled(call),
    applied,
    ...(typeof answer === "string" ? {} : { status: answer.status }),
    ...(failure === undefined ? {} : { failure }),
  });
  const { latencyMs } = world.settings();
  if (latencyMs > 0) await world.clock.sleep(latencyMs);
  return answer;
}

async function outcomeOf({ world, faults, budget }: EndpointState, call: Call): Promise<Outcome> {
  const fault = faults.take(call);
  if (fault !== undefined) return struck(world, call, fault);
  if (budget.take(call.isRead ? "read" : "change", world.clock.nowMs())) return apply(world, call);
  const message = "Rate Limit Exceeded";
  const error = new GceError(403, "rateLimitExceeded", message);
  return { answer: errorAnswer(error), applied: false, failure: error.reason };
}

function callOf(world: World, { method, url, body }: WholeRequest): Call | GceError {
  const [projectId = "", ...rest] = url.pathname.slice(API_PREFIX.length).split("/");
  if (projectId !== world.projectId) {
    return new GceError(404, "notFound", `The resource 'projects/${projectId}' was not found`);
  }
  const routed = routeOf(method, rest.join("/"));
  if (routed === undefined) {
    return new GceError(404, "notFound", `${method} ${url.pathname} is not emulated`);
  }
  const parsed = jsonOf(body);
  if (parsed === undefined && body !== "") {
    return new GceError(400, "parseError", "The body is not JSON.");
  }
  const params = new Map([...url.searchParams, ...routed.pathParams]);
  return {
    ...routed,
    params,
    place: params.get("zone") ?? params.get("region") ?? "",
    body: parsed,
    isRead: method === "GET" || routed.action.endsWith(".wait"),
  };
}

async function struck(world: World, call: Call, fault: Fault): Promise<Outcome> {
  const { effect } = fault;
  const failure = describeEffect(effect);
  const isApplied = fault.when === "after";
  if (effect.kind === "operation") {
    return { ...(await apply(world, call, { ...effect, isApplied })), failure };
  }
  const applied = isApplied && (await apply(world, call)).applied;
  if (effect.kind !== "error") return { answer: lineAnswer(effect), applied, failure };
  const { status, reason, message = `Injected ${reason}` } = effect;
  return { answer: errorAnswer(new GceError(status, reason, message)), applied, failure };
}

async function apply(
  world: World,
  { handler, params, body }: Call,
  forced?: Parameters<Routed["handler"]>[1]["forced"],
): Promise<Outcome> {
  try {
    const request = { params, body, ...(forced === undefined ? {} : { forced }) };
    const answer = jsonAnswer(200, await handler(world, request));
    return { answer, applied: forced?.isApplied ?? true };
  } catch (error) {
    if (!(error instanceof GceError)) throw error;
    return { answer: errorAnswer(error), applied: false, failure: error.reason };
  }
}

function errorAnswer(error: GceError): WholeAnswer {
  return jsonAnswer(error.status, errorDocument(error));
}

/** The parameters of a call and its body, in which the values of metadata stand by length. */
function journalled({ params, body }: Call): CallRecord["params"] {
  if (body === undefined) return Object.fromEntries(params);
  const text = JSON.stringify(body, (name, value: unknown) =>
    name === "value" && typeof value === "string" ? redacted(value) : value,
  );
  return { ...Object.fromEntries(params), body: text };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
