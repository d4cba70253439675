/**
 * The metadata server of each instance, at `/_metadata/ID/computeMetadata/v1/instance/...`.
 *
 * Source: Compute Engine documentation, "View and query VM metadata" (read 2026-11).
 */
import { plainText, type WholeAnswer, type WholeRequest } from "../shared/loopback-server.ts";
import type { Instance } from "./instance.ts";
import type { World } from "./world.ts";

/** Where the metadata servers are. */
export const METADATA_PREFIX = "/_metadata/";

const ROOT = "/computeMetadata/v1/instance/";
const HEADER = "metadata-flavor";
const PROJECT_NUMBER = "123456789012";
/** A wait without `timeout_sec` ends by then with what there is. */
const WAIT_MS_MAX = 3_600_000;

/** Wakes those who wait for an instance to be preempted. */
export class PreemptionBell {
  readonly #waiting = new Map<string, PromiseWithResolvers<undefined>>();

  ring(instanceId: string): void {
    this.#waiting.get(instanceId)?.resolve(undefined);
    this.#waiting.delete(instanceId);
  }

  rung(instanceId: string): Promise<void> {
    const waiting = this.#waiting.get(instanceId) ?? Promise.withResolvers<undefined>();
    this.#waiting.set(instanceId, waiting);
    return waiting.promise;
  }
}

/** Answers one request to the metadata server that the path names. */
export async function answerMetadata(
  world: World,
  bell: PreemptionBell,
  request: WholeRequest,
): Promise<WholeAnswer> {
  const [instanceId = "", ...rest] = request.url.pathname.slice(METADATA_PREFIX.length).split("/");
  const instance = world.fleet.findById(instanceId);
  if (instance === undefined) return plainText(404, `there is no instance ${instanceId}`);
  if (request.header(HEADER) !== "Google") {
    return plainText(403, "Missing Metadata-Flavor:Google header.");
  }
  const path = `/${rest.join("/")}`;
  const entry = path.startsWith(ROOT) ? path.slice(ROOT.length) : undefined;
  if (entry === "preempted" && request.url.searchParams.get("wait_for_change") === "true") {
    await changeOf(world, bell, { instance, request });
  }
  const value = entry === undefined ? undefined : valueOf(instance, entry);
  const answer = value === undefined ? plainText(404, "not found") : textOf(value);
  return { ...answer, headers: { ...answer.headers, [HEADER]: "Google" } };
}

/** Resolves when the value differs from the one that the client has seen, or its time is over. */
async function changeOf(
  { clock, waits }: World,
  bell: PreemptionBell,
  { instance, request }: { readonly instance: Instance; readonly request: WholeRequest },
): Promise<void> {
  const seen = request.url.searchParams.get("last_etag");
  const seconds = Number(request.url.searchParams.get("timeout_sec") ?? Number.NaN);
  const waitMs = Number.isFinite(seconds) ? seconds * 1_000 : WAIT_MS_MAX;
  const isNews = seen !== null && seen !== etagOf(valueOf(instance, "preempted") ?? "");
  // Preempted is the last word: nobody waits for more.
  if (instance.isPreempted || isNews) return;
  await waits.atMost(clock, waitMs, bell.rung(instance.instanceId));
}

function valueOf({ instanceId, spec, isPreempted }: Instance, entry: string): string | undefined {
  const [, attribute] = /^attributes\/(.+)$/.exec(entry) ?? [];
  if (attribute !== undefined) return spec.metadata[attribute];
  switch (entry) {
    case "id":
      return instanceId;
    case "name":
      return spec.name;
    case "zone":
      return `projects/${PROJECT_NUMBER}/zones/${spec.zone}`;
    case "machine-type":
      return `projects/${PROJECT_NUMBER}/machineTypes/${spec.machineType}`;
    case "preempted":
      return isPreempted ? "TRUE" : "FALSE";
    case "maintenance-event":
      return "NONE";
    default:
      return undefined;
  }
}

function textOf(value: string): WholeAnswer {
  const headers = { "content-type": "application/text", etag: etagOf(value) };
  return { status: 200, headers, body: value };
}

function etagOf(value: string): string {
  return Buffer.from(value).toString("hex").slice(0, 16);
}
