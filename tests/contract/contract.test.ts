/** What the platform answers is what its OpenAPI document says, whatever it is sent. */
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestPlatform } from "../support/platform.ts";
import { operationsOf, type ApiDocument, type Operation } from "./document.ts";
import { INSPECTABLE, LiveHeap } from "./live-heap.ts";
import { malformedRequests, type MalformedRequest } from "./malformed-requests.ts";
import { RawClient, type Answer } from "./send.ts";

const REQUEST_COUNT = 20_000;
const BATCH_COUNT = 200;
const SEED = 20_261_126;
const CONNECTION_COUNT = 16;
const PROBLEM_TYPE = "application/problem+json";
/**
 * What is reachable after a collection may grow by so much between the first quarter and the
 * end: half a KiB for each of the requests between them.
 */
const GROWTH_MIB_MAX = 8;
/** A path whose parameter is empty, or has a slash, is the path of no route. */
const NO_ROUTE = 404;

describe("the OpenAPI document", () => {
  const platform = new TestPlatform();
  let client: RawClient;
  let document: ApiDocument;
  let operations: readonly Operation[];

  beforeAll(async () => {
    await platform.start([], INSPECTABLE);
    platform.cli("deploy", "tests/fixtures/contract.ts");
    client = new RawClient(platform.running.serverUrl, CONNECTION_COUNT);
    document = await platform.get<ApiDocument>("/openapi.json");
    operations = operationsOf(document);
  });

  afterAll(async () => {
    client.close();
    await platform.close();
  });

  const isAlive = async (): Promise<boolean> => {
    const health = await platform.get<{ status: string }>("/health");
    return health.status === "ok";
  };

  it("is version 3.1, with an id, a success and its problems for every operation", () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    for (const { operationId, answers, isPublic } of operations) {
      const statuses = [...answers.keys()];
      expect(statuses.some((status) => status < 400, operationId)).toBe(true);
      if (!isPublic) expect(statuses, operationId).toEqual(expect.arrayContaining([401, 403]));
    }
  });

  it(`holds for ${REQUEST_COUNT} malformed requests: no 5xx, no crash, memory flat`, async () => {
    const { functions } = await platform.get<{ functions: { functionId: string }[] }>(
      "/v1/functions",
    );
    const known: Readonly<Record<string, readonly string[]>> = {
      app: ["echoing"],
      function: ["echo"],
      functionId: functions.map(({ functionId }) => functionId),
      cloud: ["local"],
    };
    const sources = {
      token: platform.running.token,
      // What is called is neither stopped nor scaled to thousands of containers meanwhile.
      knownValues: (operationId: string, name: string) => {
        if (operationId.startsWith("scaleFunction")) return [];
        return operationId === "stopApp" ? ["stopped"] : (known[name] ?? []);
      },
    };
    const requests = malformedRequests(document, operations, sources);
    const seen = new Map<string, Set<number>>();
    const heap = new LiveHeap(platform.running.pid, join(platform.scratchDir, "platform.log"));
    let earlyMiB = 0;
    for (let sent = 0; sent < REQUEST_COUNT; sent += BATCH_COUNT) {
      const batch = fc.sample(requests, { numRuns: BATCH_COUNT, seed: SEED + sent });
      const answers = await Promise.all(batch.map(async (each) => client.send(each)));
      answers.forEach((answer, index) => {
        const request = batch[index];
        if (request === undefined) return;
        expect(faultOf(request, answer), describeOf(request, answer)).toBeUndefined();
        const { operationId } = request.operation;
        seen.set(operationId, (seen.get(operationId) ?? new Set()).add(answer.status));
      });
      if (sent === REQUEST_COUNT / 4) earlyMiB = await heap.measureMiB();
    }
    expect(await isAlive()).toBe(true);
    const lateMiB = await heap.measureMiB();
    expect(lateMiB - earlyMiB, `${earlyMiB} MiB at first`).toBeLessThan(GROWTH_MIB_MAX);
    expect(seen.size).toBe(operations.length);
  }, 600_000);
});

/** What is wrong with an answer; undefined when it is as documented. */
function faultOf({ operation }: MalformedRequest, answer: Answer): string | undefined {
  const { status, contentType, text } = answer;
  if (status >= 500) return "the server failed";
  const isKnown = operation.answers.has(status) || status === NO_ROUTE;
  if (!isKnown) return `${status} is not documented`;
  if (status < 400) return undefined;
  if (contentType !== PROBLEM_TYPE) return `a problem came as ${contentType}`;
  if (operation.method === "HEAD") return undefined;
  return faultOfProblem(JSON.parse(text), answer);
}

function faultOfProblem(problem: unknown, { status, retryAfter }: Answer): string | undefined {
  if (typeof problem !== "object" || problem === null) return "the problem is no object";
  const facts = new Map(Object.entries(problem));
  if (facts.get("status") !== status) return "the problem has another status";
  if (typeof facts.get("code") !== "string") return "the problem has no code";
  if (!/^re_/.test(String(facts.get("requestId")))) return "the problem has no request id";
  if (typeof facts.get("retryable") !== "boolean") return "the problem does not say retryable";
  if (facts.get("retryable") === true && status === 429 && retryAfter === undefined) {
    return "it says try again, but not when";
  }
  return undefined;
}

function describeOf(request: MalformedRequest, { status, text }: Answer): string {
  const body = request.body === undefined ? "" : Buffer.from(request.body).toString("latin1");
  const sent = `${request.method} ${request.path.slice(0, 300)} ${body.slice(0, 600)}`;
  return `${sent}\n${JSON.stringify(request.headers).slice(0, 300)}\n-> ${status} ${text.slice(0, 400)}`;
}
