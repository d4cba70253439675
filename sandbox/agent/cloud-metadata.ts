/**
 * The metadata service of the machine: who it is to its cloud, and whether it is taken back.
 *
 * One row a cloud. Sources, read 2026-11: EC2 user guide, "Use the Instance Metadata Service",
 * "Spot Instance interruption notices" (a session token by PUT, then GETs; 404 until a notice) and
 * "EC2 instance rebalance recommendations" (404 until there is one, then its time);
 * Compute Engine, "VM metadata" and "Preemptible VM instances" (header `Metadata-Flavor`, value
 * TRUE once preempted, 30 s left); Azure Instance Metadata Service and Scheduled Events (header
 * `Metadata`, event type Preempt with the time of its end).
 */
import { messageOf, MS_PER_SECOND, PlatformError, type Clock } from "../../core/index.ts";

/** Clouds whose machines can say who they are. */
export const METADATA_CLOUDS = ["aws", "gcp", "azure"] as const;
export type MetadataCloud = (typeof METADATA_CLOUDS)[number];

/** What a machine can ask about itself. */
export interface CloudMetadata {
  /**
   * The ids by which its provider may know it, most specific first.
   *
   * @throws PlatformError `unavailable` when the service does not answer as it should.
   */
  machineIds(): Promise<readonly string[]>;
  /** When it will be taken back, by its own clock; undefined while there is no notice. */
  interruption(): Promise<number | undefined>;
  /**
   * Since when its provider has said that it is likely to take the machine back before long, by
   * the provider's clock; undefined while it has not. Only EC2 says so, of Spot instances.
   */
  riskSince(): Promise<number | undefined>;
}

/** All three clouds have their service at this address. */
const LINK_LOCAL_URL = "http://169.254.169.254";
const ANSWER_MS_MAX = 2_000;
const EC2_TOKEN_SECONDS = 21_600;
/** Source: Compute Engine, "Preemptible VM instances": 30 seconds from the signal. */
const GCP_NOTICE_MS = 30 * MS_PER_SECOND;

/** The metadata service of one cloud. @param url stands in for the cloud's own address. */
export function openCloudMetadata(
  cloud: MetadataCloud,
  { clock, url = LINK_LOCAL_URL }: { readonly clock: Clock; readonly url?: string },
): CloudMetadata {
  switch (cloud) {
    case "aws":
      return ec2Metadata(url);
    case "gcp":
      return gcpMetadata(url, clock);
    case "azure":
      return azureMetadata(url);
  }
}

function ec2Metadata(url: string): CloudMetadata {
  let token: string | undefined;
  const read = async (path: string): Promise<string | undefined> => {
    for (let isRepeat = false; ; isRepeat = true) {
      token ??= await required(`${url}/latest/api/token`, {
        method: "PUT",
        headers: { "x-aws-ec2-metadata-token-ttl-seconds": String(EC2_TOKEN_SECONDS) },
      });
      const answer = await ask(`${url}/latest/meta-data/${path}`, {
        headers: { "x-aws-ec2-metadata-token": token },
      });
      // The session is over: the next one is asked for, once.
      if (answer.status !== 401 || isRepeat) return textOf(answer);
      token = undefined;
    }
  };
  return {
    machineIds: async () => [present(await read("instance-id"), `${url} instance-id`)],
    interruption: async () => {
      const notice = await read("spot/instance-action");
      return notice === undefined ? undefined : timeIn(notice, "time");
    },
    riskSince: async () => {
      const advice = await read("events/recommendations/rebalance");
      return advice === undefined ? undefined : timeIn(advice, "noticeTime");
    },
  };
}

function gcpMetadata(url: string, clock: Clock): CloudMetadata {
  const headers = { "metadata-flavor": "Google" };
  const read = (path: string): Promise<string> =>
    required(`${url}/computeMetadata/v1/instance/${path}`, { headers });
  let noticedAtMs: number | undefined;
  return {
    machineIds: async () => [await read("id"), await read("name")],
    interruption: async () => {
      if ((await read("preempted")) !== "TRUE") return undefined;
      noticedAtMs ??= clock.nowMs();
      return noticedAtMs + GCP_NOTICE_MS;
    },
    riskSince: noRisk,
  };
}

function azureMetadata(url: string): CloudMetadata {
  const headers = { metadata: "true" };
  const read = async (path: string, version: string): Promise<JsonRecord> =>
    recordIn(await required(`${url}/metadata/${path}?api-version=${version}`, { headers }));
  return {
    machineIds: async () => {
      const { vmId, name } = await read("instance/compute", "2021-02-01");
      return [vmId, name].flatMap((id) => (typeof id === "string" ? [id] : []));
    },
    interruption: async () => {
      const { Events } = await read("scheduledevents", "2020-07-01");
      const notice = (Array.isArray(Events) ? Events : []).find(
        (event: unknown) => isRecord(event) && event["EventType"] === "Preempt",
      ) as JsonRecord | undefined;
      return notice === undefined ? undefined : timeIn(JSON.stringify(notice), "NotBefore");
    },
    riskSince: noRisk,
  };
}

/** On a cloud that says nothing before the notice itself. */
function noRisk(): Promise<undefined> {
  return Promise.resolve(undefined);
}

type JsonRecord = Readonly<Record<string, unknown>>;

interface Answer {
  readonly url: string;
  readonly status: number;
  readonly text: string;
}

async function ask(url: string, request: RequestInit): Promise<Answer> {
  try {
    const signal = AbortSignal.timeout(ANSWER_MS_MAX);
    const response = await fetch(url, { ...request, signal, redirect: "error" });
    return { url, status: response.status, text: await response.text() };
  } catch (error) {
    throw unavailable(url, messageOf(error), error);
  }
}

/** The text of a 200; undefined for a 404, as before a notice. */
function textOf({ url, status, text }: Answer): string | undefined {
  if (status === 200) return text;
  if (status === 404) return undefined;
  throw unavailable(url, `status ${status}`);
}

async function required(url: string, request: RequestInit): Promise<string> {
  return present(textOf(await ask(url, request)), url);
}

function present(text: string | undefined, url: string): string {
  if (text !== undefined && text !== "") return text;
  throw unavailable(url, "it has no answer");
}

/** A time in a field of a JSON text, in ms since 1970. An empty one is now or never: now. */
function timeIn(text: string, field: string): number {
  const time = recordIn(text)[field];
  const atMs = typeof time === "string" ? Date.parse(time) : NaN;
  return Number.isFinite(atMs) ? atMs : 0;
}

function recordIn(text: string): JsonRecord {
  const value: unknown = JSON.parse(text);
  return isRecord(value) ? value : {};
}

function isRecord(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null;
}

function unavailable(url: string, why: string, cause?: unknown): PlatformError {
  return new PlatformError(
    `the machine's metadata service does not answer (${url}: ${why}); is this the cloud that ` +
      "the agent's settings name?",
    { code: "unavailable", retryable: true, cause },
  );
}
