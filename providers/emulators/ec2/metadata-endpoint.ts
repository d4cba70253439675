/**
 * The instance metadata service of each instance, version 2, under an address of its own.
 *
 * On EC2 all machines use one link-local address; here each instance has a prefix of the
 * emulator's address, `/_imds/<instance id>`, after which the paths are EC2's. A session token
 * is asked for first (PUT) and then sent with every read; version 1, without one, is refused, as
 * it is for instances that demand tokens.
 *
 * Source: EC2 user guide, "Use the Instance Metadata Service" and "Spot Instance interruption
 * notices" (read 2026-11).
 */
import { randomBytes } from "node:crypto";
import { MS_PER_SECOND } from "../../../core/index.ts";
import type { WholeAnswer, WholeRequest } from "../shared/loopback-server.ts";
import { OWNER_ID, privateAddress } from "./actions/instance-xml.ts";
import { isLive, type Instance } from "./instance.ts";
import type { World } from "./world.ts";

/** Where the metadata of all instances begins. */
export const METADATA_PREFIX = "/_imds/";

const TOKEN_PATH = "/latest/api/token";
const TOKEN_TTL_SECONDS_MAX = 21_600;
const TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN_HEADER = "x-aws-ec2-metadata-token";

/** Answers one request to some instance's metadata service. */
export class MetadataEndpoint {
  readonly #world: World;
  /** Session tokens: whose they are and until when they are good. */
  readonly #tokens = new Map<string, { readonly instanceId: string; readonly untilMs: number }>();

  constructor(world: World) {
    this.#world = world;
  }

  /** The path of the request begins with `METADATA_PREFIX`. */
  answer(request: WholeRequest): WholeAnswer {
    const { pathname } = request.url;
    const [, instanceId = "", rest = ""] = /^\/_imds\/([^/]+)(\/.*)?$/.exec(pathname) ?? [];
    const instance = this.#world.fleet.find(instanceId);
    if (instance === undefined || !isLive(instance)) return plain(404, "no such machine");
    if (rest === TOKEN_PATH) return this.#giveToken(request, instance);
    if (request.method !== "GET") return plain(405, "");
    if (!this.#isGood(request.header(TOKEN_HEADER), instance)) return plain(401, "");
    const text = METADATA[rest.replace(/\/$/, "")]?.(instance);
    return text === undefined ? plain(404, "") : plain(200, text);
  }

  #giveToken(request: WholeRequest, { instanceId }: Instance): WholeAnswer {
    const ttlSeconds = Number(request.header(TTL_HEADER));
    if (request.method !== "PUT") return plain(405, "");
    if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > TOKEN_TTL_SECONDS_MAX) {
      return plain(400, "");
    }
    const token = randomBytes(32).toString("base64url");
    const untilMs = this.#world.clock.nowMs() + ttlSeconds * MS_PER_SECOND;
    this.#tokens.set(token, { instanceId, untilMs });
    return plain(200, token);
  }

  #isGood(token: string, { instanceId }: Instance): boolean {
    const known = this.#tokens.get(token);
    if (known === undefined || known.instanceId !== instanceId) return false;
    if (this.#world.clock.nowMs() < known.untilMs) return true;
    this.#tokens.delete(token);
    return false;
  }
}

/** What there is to read, by path; undefined is a 404, as before a notice. */
const METADATA: Readonly<Record<string, (instance: Instance) => string | undefined>> = {
  "/latest/meta-data/instance-id": ({ instanceId }) => instanceId,
  "/latest/meta-data/instance-type": ({ spec }) => spec.shape.instanceType,
  "/latest/meta-data/instance-life-cycle": ({ spec }) => spec.market,
  "/latest/meta-data/ami-id": ({ spec }) => spec.imageId,
  "/latest/meta-data/local-ipv4": ({ sequence }) => privateAddress(sequence),
  "/latest/meta-data/placement/availability-zone": ({ spec }) => spec.zone,
  "/latest/meta-data/placement/region": ({ spec }) => spec.region,
  "/latest/meta-data/spot/instance-action": ({ interruption }) =>
    interruption &&
    JSON.stringify({ action: "terminate", time: secondsIso(interruption.endsAtMs) }),
  "/latest/meta-data/spot/termination-time": ({ interruption }) =>
    interruption && secondsIso(interruption.endsAtMs),
  "/latest/meta-data/events/recommendations/rebalance": ({ rebalanceNoticedAtMs }) =>
    rebalanceNoticedAtMs === undefined
      ? undefined
      : JSON.stringify({ noticeTime: secondsIso(rebalanceNoticedAtMs) }),
  "/latest/user-data": ({ spec }) => (spec.userData === "" ? undefined : spec.userData),
  "/latest/dynamic/instance-identity/document": ({ instanceId, spec, sequence, launchedAtMs }) =>
    JSON.stringify({
      accountId: OWNER_ID,
      architecture: "x86_64",
      availabilityZone: spec.zone,
      imageId: spec.imageId,
      instanceId,
      instanceType: spec.shape.instanceType,
      pendingTime: secondsIso(launchedAtMs),
      privateIp: privateAddress(sequence),
      region: spec.region,
      version: "2017-09-30",
    }),
};

/** Whole seconds, as the service writes times: `2026-11-23T20:28:05Z`. */
function secondsIso(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19)}Z`;
}

/** A text as it is: values have no line end. */
function plain(status: number, body: string): WholeAnswer {
  return { status, headers: { "content-type": "text/plain" }, body };
}
