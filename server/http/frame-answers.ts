/** Frames of calls: their headers checked, their bodies cut, result pages written. */
import type { FastifyReply } from "fastify";
import { PlatformError } from "../../core/index.ts";
import {
  encodeFrame,
  FRAME_MEDIA_TYPE,
  PAYLOAD_BYTES_MAX,
  splitBody,
} from "../../sdk/protocol/index.ts";
import type { z } from "zod";
import type { ResultsPage, ValuesPage } from "../services.ts";
import { ReceivedFrame } from "./body-parsers.ts";
import { checked } from "./checked.ts";
import { RefusedError } from "./problem.ts";

/** A checked frame: its header, and its payloads in order. */
export interface InputsFrame<Header> {
  readonly header: Header;
  readonly payloads: readonly Uint8Array[];
}

/**
 * The inputs that a request's frame carries. Costs microseconds: payloads are not read.
 *
 * @throws FrameError, PlatformError `invalid_request`, `payload_too_large`; 415 without a frame.
 */
export function inputsOf<Header extends { readonly sizes: readonly number[] }>(
  body: unknown,
  schema: z.ZodType<Header>,
): InputsFrame<Header> {
  if (!(body instanceof ReceivedFrame)) {
    throw new RefusedError(415, "invalid_request", `the body must be one ${FRAME_MEDIA_TYPE}`);
  }
  const header = checked(schema, body.header, "frame header");
  const tooLarge = header.sizes.find((size) => size > PAYLOAD_BYTES_MAX);
  if (tooLarge !== undefined) throw payloadTooLarge(tooLarge);
  return { header, payloads: splitBody(body.body, header.sizes) };
}

/** Answers with a page of results as one frame. */
export function sendResults(reply: FastifyReply, page: ResultsPage | ValuesPage): Buffer {
  const bytes = encodeFrame(page.header, page.payloads);
  reply.type(FRAME_MEDIA_TYPE);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function payloadTooLarge(byteCount: number): PlatformError {
  return new PlatformError(
    `an input of ${byteCount} bytes is above the limit of ${PAYLOAD_BYTES_MAX}`,
    { code: "payload_too_large", retryable: false },
  );
}
