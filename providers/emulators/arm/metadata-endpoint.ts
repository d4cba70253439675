/**
 * The metadata endpoint of each machine, in place of `http://169.254.169.254`.
 *
 * It answers under `/_metadata/VMID/metadata/...`: `instance`, `instance/compute` and its
 * `userData`, and `scheduledevents`, where an eviction is announced and can be acknowledged,
 * which brings it on at once. Source: "Azure Instance Metadata Service" and "Scheduled Events
 * for Linux VMs" (Microsoft Learn, read 2026-11).
 */
import { z } from "zod";
import { jsonAnswer, type WholeAnswer, type WholeRequest } from "../shared/loopback-server.ts";
import type { JsonObject, Machine } from "./machine.ts";
import type { World } from "./world.ts";

/** Where the metadata endpoints begin. */
export const METADATA_PREFIX = "/_metadata/";

const PATH = /^\/_metadata\/(?<vmId>[0-9a-f-]+)\/metadata\/(?<rest>.+?)\/?$/;

/** Answers a request of a machine for its metadata. */
export function answerMetadata(world: World, request: WholeRequest): WholeAnswer {
  const { vmId = "", rest = "" } = PATH.exec(request.url.pathname)?.groups ?? {};
  const machine = world.fleet.findByVmId(vmId);
  if (machine === undefined) return jsonAnswer(404, { error: "no such machine" });
  const refusal = refusalOf(request);
  if (refusal !== undefined) return refusal;
  if (request.method === "POST" && rest === "scheduledevents") {
    return acknowledge(world, machine, request.body);
  }
  const show = request.method === "GET" ? DOCUMENTS.get(rest) : undefined;
  return show === undefined ? jsonAnswer(404, { error: "Not found" }) : show(machine);
}

const DOCUMENTS = new Map<string, (machine: Machine) => WholeAnswer>([
  ["instance", (machine) => jsonAnswer(200, { compute: computeOf(machine), network: {} })],
  ["instance/compute", (machine) => jsonAnswer(200, computeOf(machine))],
  ["instance/compute/userData", (machine) => text(machine.spec.userData ?? "")],
  ["scheduledevents", (machine) => jsonAnswer(200, eventsOf(machine))],
]);

/** Why the endpoint answers nothing: a request that a page or a proxy could have made. */
function refusalOf({ header, url }: WholeRequest): WholeAnswer | undefined {
  if (header("metadata").toLowerCase() !== "true") {
    return badRequest("Required metadata header not specified");
  }
  if (header("x-forwarded-for") !== "") {
    return badRequest("Requests with an X-Forwarded-For header are not allowed");
  }
  if (url.searchParams.has("api-version")) return undefined;
  return badRequest("api-version is invalid or was not specified in the request.");
}

function computeOf({ spec, vmId, tags }: Machine): JsonObject {
  return {
    azEnvironment: "AzurePublicCloud",
    location: spec.region,
    name: spec.name,
    resourceGroupName: spec.resourceGroup,
    resourceId: spec.id,
    subscriptionId: spec.subscriptionId,
    vmId,
    vmSize: spec.shape.instanceType,
    zone: spec.zone ?? "",
    priority: spec.market === "spot" ? "Spot" : "Regular",
    evictionPolicy: spec.market === "spot" ? spec.evictionPolicy : "",
    osType: "Linux",
    provider: "Microsoft.Compute",
    tags: Object.entries(tags)
      .map(([key, value]) => `${key}:${value}`)
      .join(";"),
    tagsList: Object.entries(tags).map(([name, value]) => ({ name, value })),
    userData: spec.userData ?? "",
  };
}

function eventsOf({ preemption, spec }: Machine): JsonObject {
  if (preemption === undefined) return { DocumentIncarnation: 1, Events: [] };
  const event = {
    EventId: preemption.eventId,
    EventStatus: "Scheduled",
    EventType: "Preempt",
    ResourceType: "VirtualMachine",
    Resources: [spec.name],
    NotBefore: new Date(preemption.atMs).toUTCString(),
    Description: "",
    EventSource: "Platform",
    DurationInSeconds: -1,
  };
  return { DocumentIncarnation: 2, Events: [event] };
}

const startRequests = z.looseObject({
  StartRequests: z.array(z.looseObject({ EventId: z.string() })).min(1),
});

function acknowledge(world: World, machine: Machine, body: string): WholeAnswer {
  const parsed = startRequests.safeParse(jsonOf(body));
  if (!parsed.success) return badRequest(z.prettifyError(parsed.error));
  const { preemption } = machine;
  const ids = parsed.data.StartRequests.map(({ EventId }) => EventId);
  if (preemption === undefined || !ids.includes(preemption.eventId)) {
    return badRequest("No event has this id");
  }
  world.fleet.evict(machine);
  return text("");
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function badRequest(error: string): WholeAnswer {
  return jsonAnswer(400, { error: `Bad request. ${error}` });
}

function text(body: string): WholeAnswer {
  return { status: 200, headers: { "content-type": "text/plain; charset=utf-8" }, body };
}
