/** Events as they lie in the stream: one JSON text each, without their id. */
import { z } from "zod";
import type { EventBase, EventBody, PlatformEvent } from "../../sdk/protocol/index.ts";

/** Longest text of a log event; the rest is cut off and said to be. */
const LOG_TEXT_CHARACTERS_MAX = 16 * 1024;

const storedEvent = z.looseObject({ atMs: z.number(), kind: z.string() });

/** The text of an event. */
export function encodeEvent(
  subject: Omit<EventBase, "eventId" | "atMs">,
  body: EventBody,
  atMs: number,
): string {
  return JSON.stringify({ atMs, ...subject, ...withShortText(body) });
}

/** The event of a text; undefined when it is none (written by another version, or damaged). */
export function decodeEvent(eventId: string, text: string): PlatformEvent | undefined {
  const stored = storedEvent.safeParse(parseJson(text));
  if (!stored.success) return undefined;
  // The stream is ours; what has a kind and a time is what `encodeEvent` wrote.
  return { ...stored.data, eventId } as unknown as PlatformEvent;
}

function withShortText(body: EventBody): EventBody {
  if (body.kind !== "log" || body.text.length <= LOG_TEXT_CHARACTERS_MAX) return body;
  const cut = body.text.length - LOG_TEXT_CHARACTERS_MAX;
  const text = `${body.text.slice(0, LOG_TEXT_CHARACTERS_MAX)}… (${cut} characters cut)`;
  return { ...body, text };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
