/**
 * Grants: with one, a node agent may read and commit one volume for one container, also after
 * that has ended. They need no record: the server knows its own by their code.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

/** What a grant is for. */
export interface VolumeGrant {
  readonly workspaceId: string;
  readonly volumeId: string;
  readonly containerId: string;
}

/** A grant as text. @param key Known to this platform alone. */
export function grantOf({ workspaceId, volumeId, containerId }: VolumeGrant, key: Uint8Array) {
  const what = [workspaceId, volumeId, containerId].join(" ");
  return `${Buffer.from(what).toString("base64url")}.${codeOf(what, key).toString("base64url")}`;
}

/** What a text grants; undefined when it is none of this platform's. */
export function openGrant(text: string, key: Uint8Array): VolumeGrant | undefined {
  const [encoded = "", code = "", ...rest] = text.split(".");
  const what = Buffer.from(encoded, "base64url").toString("utf8");
  const given = Buffer.from(code, "base64url");
  const right = codeOf(what, key);
  const isOurs = given.byteLength === right.byteLength && timingSafeEqual(given, right);
  const [workspaceId, volumeId, containerId] = what.split(" ");
  if (!isOurs || rest.length > 0) return undefined;
  if (workspaceId === undefined || volumeId === undefined || containerId === undefined) {
    return undefined;
  }
  return { workspaceId, volumeId, containerId };
}

function codeOf(what: string, key: Uint8Array): Buffer {
  return createHmac("sha256", key).update(`volume ${what}`).digest();
}
