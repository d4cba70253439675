/**
 * Our ids and tags in the alphabets of Compute Engine, and back.
 *
 * Instance names and labels take lower-case letters, digits and `-` (labels also `_`). Whatever
 * else a text has is escaped byte by byte, so that every translation can be undone:
 *
 *     node id   no_01j9x  -> no-01j9x      no_A -> no--5f--41    (`--` and two hex digits: a byte)
 *     label     a & b     -> a_20_26_20b                         (`_` and two hex digits: a byte)
 *
 * A value that is longer than a label goes on in the labels `key__1`, `key__2`, ...; a key that
 * does not begin with a letter gets `x___` before it. Both marks have underscores in a row, which
 * an escaped text never has.
 *
 * Source of the alphabets and lengths: Compute Engine documentation, naming resources and labels
 * (read 2026-11).
 */
import { createHash } from "node:crypto";
import { PlatformError } from "../../core/index.ts";

const NAME_LENGTH_MAX = 63;
const LABEL_LENGTH_MAX = 63;
const FORCED_START = "x___";

/**
 * The instance name that stands for a node id.
 *
 * @throws PlatformError `invalid_request` for an id that no name can stand for: longer than 63
 *   characters once escaped, or not beginning with a lower-case letter.
 */
export function instanceNameOf(nodeId: string): string {
  const name = nodeId
    .replaceAll(/[^a-z0-9_]/g, (character) => escaped(character, "--"))
    // A lone hyphen stands for an underscore, where it cannot be taken for a part of an escape.
    .replaceAll(/(?<![-_])_(?=[a-z0-9])/g, "-")
    .replaceAll("_", "--5f");
  if (/^[a-z]/.test(name) && name.length <= NAME_LENGTH_MAX) return name;
  throw new PlatformError(
    `the node id ${nodeId} cannot be the name of a Compute Engine instance; it must begin with a ` +
      `lower-case letter and be at most ${NAME_LENGTH_MAX} characters when escaped`,
    { code: "invalid_request", retryable: false, details: { nodeId } },
  );
}

/** The node id of a name that `instanceNameOf` gave; undefined for any other name. */
export function nodeIdOf(instanceName: string): string | undefined {
  const bytes = instanceName
    .replaceAll(/--([0-9a-f]{2})|-/g, (_, hex: string | undefined) => `%${hex ?? "5f"}`)
    .replaceAll(/[^%a-z0-9]/g, "");
  const nodeId = decoded(bytes);
  if (nodeId === undefined) return undefined;
  try {
    return instanceNameOf(nodeId) === instanceName ? nodeId : undefined;
  } catch (error) {
    if (error instanceof PlatformError) return undefined;
    throw error;
  }
}

/** Labels that stand for tags. */
export function labelsOf(tags: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(tags).flatMap(([key, value]) => labelsOfTag(key, value)),
  );
}

/** The tags that labels stand for; labels that are none of ours are tags as they are. */
export function tagsOf(labels: Readonly<Record<string, string>>): Record<string, string> {
  const parts = Object.entries(labels).map(([label, text]) => {
    const [, base = label, part = "0"] = /^(.*[^_])__([1-9]\d*)$/.exec(label) ?? [];
    return { base, part: Number(part), text };
  });
  parts.sort((one, other) => one.part - other.part);
  const values = new Map<string, string>();
  for (const { base, text } of parts) values.set(base, (values.get(base) ?? "") + text);
  return Object.fromEntries(
    [...values].map(([base, value]) => {
      const key = base.startsWith(FORCED_START) ? base.slice(FORCED_START.length) : base;
      return [unescaped(key), unescaped(value)];
    }),
  );
}

/** The filter for instances that carry a tag. */
export function tagFilter(key: string, value: string): string {
  return labelsOfTag(key, value)
    .map(([label, text]) => `(labels.${label} = "${text}")`)
    .join(" AND ");
}

/**
 * The request id of one step of a batch: a UUID of version 8 (RFC 9562) made of the first 16
 * bytes of SHA-256 over the client token, the offer and the method, joined by spaces.
 */
export function requestIdOf(clientToken: string, offerId: string, method: string): string {
  const bytes = createHash("sha256").update(`${clientToken} ${offerId} ${method}`).digest();
  const hex = bytes.toString("hex").slice(0, 32);
  const variant = ((bytes.readUInt8(8) & 0x3f) | 0x80).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(18, 20)}`,
    hex.slice(20),
  ].join("-");
}

/** Where a machine is, and which it is of all that ever had its name there. */
export interface MachineRef {
  readonly zone: string;
  readonly name: string;
  /** Compute Engine's number of it. */
  readonly instanceId: string;
}

/** A name may be used again; zone, name and number together may not. */
export function providerNodeIdOf({ zone, name, instanceId }: MachineRef): string {
  return `${zone}/${name}/${instanceId}`;
}

/** The parts of a `providerNodeId`; undefined when it is not one of this adapter. */
export function parseProviderNodeId(providerNodeId: string): MachineRef | undefined {
  const [, zone, name, instanceId] =
    /^([a-z0-9-]+)\/([a-z][a-z0-9-]*)\/([0-9a-z]+)$/.exec(providerNodeId) ?? [];
  if (zone === undefined || name === undefined || instanceId === undefined) return undefined;
  return { zone, name, instanceId };
}

function labelsOfTag(key: string, value: string): readonly (readonly [string, string])[] {
  const inside = labelText(key);
  const label = /^[a-z]/.test(inside) ? inside : `${FORCED_START}${inside}`;
  const text = labelText(value);
  const parts = text.match(new RegExp(`.{1,${LABEL_LENGTH_MAX}}`, "g")) ?? [""];
  const labels = parts.map(
    (part, index) => [index === 0 ? label : `${label}__${index}`, part] as const,
  );
  const [last] = labels.at(-1) ?? [label];
  if (last.length <= LABEL_LENGTH_MAX) return labels;
  throw new PlatformError(
    `the tag key ${key} is longer than a label of Compute Engine (${LABEL_LENGTH_MAX} characters ` +
      "when escaped); use a shorter one",
    { code: "invalid_request", retryable: false, details: { key } },
  );
}

function labelText(text: string): string {
  return text.replaceAll(/[^a-z0-9-]/gu, (character) => escaped(character, "_"));
}

function unescaped(text: string): string {
  return decoded(text.replaceAll(/_([0-9a-f]{2})/g, "%$1")) ?? text;
}

function escaped(character: string, mark: string): string {
  return [...Buffer.from(character, "utf8")]
    .map((byte) => mark + byte.toString(16).padStart(2, "0"))
    .join("");
}

/** Text of percent-escaped UTF-8; undefined when the bytes are no text. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
