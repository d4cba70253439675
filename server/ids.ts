/** Random ids for production: sortable by the millisecond they were made in. */
import { randomFillSync } from "node:crypto";
import { assert, type Clock, type IdPrefix, type IdSource } from "../core/index.ts";

/** Crockford's base 32, lower case: no i, l, o or u. */
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const TIME_CHARACTERS = 10;
const RANDOM_CHARACTERS = 16;
const POOL_BYTES = 4096;

/**
 * Ids such as `fn_01j9…`: 10 characters of time (48 bits of `clock.nowMs()`) and 16 of chance
 * (80 bits from the operating system), so they sort by time and cannot be guessed.
 * Source of the layout: the ULID specification. Cost: about a microsecond.
 */
export function createIdSource(clock: Pick<Clock, "nowMs">): IdSource {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  const takeBytes = (): Uint8Array => {
    if (used + RANDOM_CHARACTERS > POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    used += RANDOM_CHARACTERS;
    return pool.subarray(used - RANDOM_CHARACTERS, used);
  };
  return {
    next: (prefix: IdPrefix) => `${prefix}_${timePart(clock.nowMs())}${randomPart(takeBytes())}`,
  };
}

function timePart(nowMs: number): string {
  assert(nowMs >= 0 && nowMs < 2 ** 48, `a time of ${nowMs} ms does not fit an id`);
  let rest = Math.floor(nowMs);
  let text = "";
  for (let index = 0; index < TIME_CHARACTERS; index += 1) {
    text = ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

/** One character per byte, five bits of each: uniform because 32 divides 256. */
function randomPart(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += ALPHABET.charAt(byte & 31);
  return text;
}
