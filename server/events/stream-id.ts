/** Ids of stream entries: `<milliseconds>-<sequence>`, ordered as two numbers. */

/** At most 19 digits each, so that both parts fit the 64 bits that Redis gives them. */
export const STREAM_ID = /^[0-9]{1,19}(-[0-9]{1,19})?$/;

/** Before every entry. */
export const OLDEST_ID = "0-0";

/** The id with its sequence written out; undefined when `text` is none. */
export function parseStreamId(text: string): string | undefined {
  if (!STREAM_ID.test(text)) return undefined;
  return text.includes("-") ? text : `${text}-0`;
}

/** Whether `left` comes after `right`; both with a sequence. */
export function isAfter(left: string, right: string): boolean {
  const [leftMs, leftSequence] = partsOf(left);
  const [rightMs, rightSequence] = partsOf(right);
  return leftMs === rightMs ? leftSequence > rightSequence : leftMs > rightMs;
}

function partsOf(id: string): readonly [bigint, bigint] {
  const dash = id.indexOf("-");
  return [BigInt(id.slice(0, dash)), BigInt(id.slice(dash + 1))];
}
