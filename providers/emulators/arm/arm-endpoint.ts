/**
 * The resource manager endpoint: one call in, one document out.
 *
 * A call must carry a bearer token and an `api-version`; the token itself is not checked. What
 * can happen to a call comes in this order: a request rate, a fault, the action.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { CallJournal, CallRecord } from "../shared/call-journal.ts";
import type { FaultBoard } from "../shared/fault-board.ts";
import { lineAnswer } from "../shared/line-effect.ts";
import type { NoAnswer, WholeAnswer, WholeRequest } from "../shared/loopback-server.ts";
import type { RequestBudget } from "../shared/request-budget.ts";
import { ACTIONS } from "./actions.ts";
import { ArmError, errorBody } from "./arm-error.ts";
import { placeOf, paramsOf } from "./call-params.ts";
import type { ArmAnswer, ArmCall } from "./call.ts";
import { describeEffect, isFate, type CallEffect, type Fault } from "./faults.ts";
import { routeOf } from "./route.ts";
import { uuidFrom, type World } from "./world.ts";

/** One received call. */
export interface ArmRecord extends CallRecord {
  readonly requestId: string;
  /** Equal over the tries of one SDK call; empty when the client did not say. */
  readonly invocationId: string;
}

export interface EndpointState {
  readonly world: World;
  readonly faults: FaultBoard<Fault>;
  readonly journal: CallJournal<ArmRecord>;
  /** By kind of call: `read`, `write` or `delete`. */
  readonly budget: RequestBudget;
}

/** What became of a call. */
interface Outcome {
  readonly answer: WholeAnswer | NoAnswer;
  readonly applied: boolean;
  readonly failure?: string;
}

/** Answers one call, or does to it what a fault demands. */
export async function answerArm(
  state: EndpointState,
  request: WholeRequest,
): Promise<WholeAnswer | NoAnswer> {
  const { world, journal } = state;
  const { latencyMs } = world.settings();
  // Real time: a client waits for the socket, whatever the emulated clock says.
  if (latencyMs > 0) await delay(latencyMs);
  const call = callOf(request);
  const params = paramsOf(call);
  const requestId = uuidFrom(world.rng);
  const place = placeOf(world, call);
  const { answer, applied, failure } = outcomeOf(state, call, { place, params });
  journal.add({
    atMs: world.clock.nowMs(),
    requestId,
    action: call.action,
    place,
    params: Object.fromEntries(params),
    invocationId: request.header("x-ms-client-request-id"),
    applied,
    ...(typeof answer === "string" ? {} : { status: answer.status }),
    ...(failure === undefined ? {} : { failure }),
  });
  if (typeof answer === "string") return answer;
  const ids = { "x-ms-request-id": requestId, "x-ms-correlation-request-id": requestId };
  return { ...answer, headers: { ...answer.headers, ...ids } };
}

function callOf(request: WholeRequest): ArmCall {
  const { method, url, body, header } = request;
  const unknown = { action: "", subscriptionId: "", resourceGroup: "", name: "", location: "" };
  const headers = Object.fromEntries(
    ["authorization", "if-none-match"].map((name) => [name, header(name)]),
  );
  return {
    ...(routeOf(method, url.pathname) ?? unknown),
    method,
    query: url.searchParams,
    headers,
    body: jsonOf(body),
    origin: `http://${header("host")}`,
    url: `${url.pathname}${url.search}`,
  };
}

function outcomeOf(
  { world, faults, budget }: EndpointState,
  call: ArmCall,
  { place, params }: { readonly place: string; readonly params: ReadonlyMap<string, string> },
): Outcome {
  // Polling an operation is free of the rate: it is how clients are told to wait.
  const isPolling = call.action.startsWith("Operations.");
  if (!isPolling && !budget.take(kindOf(call.method), world.clock.nowMs())) {
    return refused(tooManyRequests(world.settings().throttleRetryAfterS));
  }
  const fault = faults.take({ action: call.action, place, params });
  const down = downRegionOf(world, call, place);
  if (down !== undefined && fault === undefined) return refused(regionIsDown(down));
  if (fault === undefined) return apply(world, call);
  const { effect, when } = fault;
  if (isFate(effect)) return apply(world, { ...call, fate: effect });
  const applied = when === "after" && apply(world, call).applied;
  return { applied, failure: describeEffect(effect), answer: answerOf(effect) };
}

/** The region that does not answer and that a call needs; undefined when there is none. */
function downRegionOf(world: World, { action }: ArmCall, place: string): string | undefined {
  const { downRegions } = world.settings();
  const isListOfAll = LISTS_OF_ALL.has(action);
  return downRegions.find((region) => {
    if (!isListOfAll) return region === place;
    return world.fleet.all().some(({ spec }) => spec.region === region);
  });
}

const LISTS_OF_ALL = new Set(["VirtualMachines.List", "VirtualMachines.ListAll"]);

function regionIsDown(region: string): ArmError {
  const message = `The service in region '${region}' is unavailable. Please try again later.`;
  return new ArmError(503, "ServiceUnavailable", message);
}

function kindOf(method: string): string {
  if (method === "GET") return "read";
  return method === "DELETE" ? "delete" : "write";
}

function tooManyRequests(retryAfterS: number): ArmError {
  const message =
    "The request is being throttled as the limit has been reached for operation type of this " +
    `subscription. Please try again after ${retryAfterS} seconds.`;
  return new ArmError(429, "TooManyRequests", message, retryAfterS);
}

function answerOf(effect: CallEffect): WholeAnswer | NoAnswer {
  if (effect.kind !== "error") return lineAnswer(effect);
  const { status, code, message = `Injected ${code}`, retryAfterS } = effect;
  return errorAnswer(new ArmError(status, code, message, retryAfterS));
}

function apply(world: World, call: ArmCall): Outcome {
  try {
    checkCall(call);
    const handler = ACTIONS.get(call.action);
    if (handler === undefined) throw unknownRoute(call);
    return { answer: wholeAnswer(handler(world, call)), applied: true };
  } catch (error) {
    if (!(error instanceof ArmError)) throw error;
    return refused(error);
  }
}

function checkCall({ headers, query }: ArmCall): void {
  if (!/^Bearer \S+$/.test(headers["authorization"] ?? "")) {
    const message = "Authentication failed. The 'Authorization' header is missing.";
    throw new ArmError(401, "AuthenticationFailed", message);
  }
  if (query.has("api-version")) return;
  const message = "The api-version query parameter (?api-version=) is required for all requests.";
  throw new ArmError(400, "MissingApiVersionParameter", message);
}

function unknownRoute({ method, url }: ArmCall): ArmError {
  const message = `No route of this emulator takes ${method} ${url.split("?")[0] ?? ""}.`;
  return new ArmError(404, "InvalidResourceType", message);
}

function refused(error: ArmError): Outcome {
  return { answer: errorAnswer(error), applied: false, failure: error.code };
}

function errorAnswer({ status, code, message, retryAfterS }: ArmError): WholeAnswer {
  const headers = retryAfterS === undefined ? {} : { "retry-after": String(retryAfterS) };
  return wholeAnswer({ status, body: errorBody({ code, message }), headers });
}

function wholeAnswer({ status, body, headers }: ArmAnswer): WholeAnswer {
  return {
    status,
    headers: { "content-type": "application/json; charset=utf-8", ...headers },
    body: body === undefined ? "" : JSON.stringify(body),
  };
}

function jsonOf(body: string): unknown {
  if (body === "") return undefined;
  try {
    return JSON.parse(body);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
