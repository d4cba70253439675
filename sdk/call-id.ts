/** Ids of calls, chosen by the client so that sending a call twice starts it once. */

const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz";
const RANDOM_CHARACTERS = 26;
/** Bytes from here on are dropped, so that every character is equally likely. */
const BYTE_LIMIT = 256 - (256 % ALPHABET.length);

/** A fresh id: `ca_` and 26 characters of a-z and 0-9, 134 bits of chance. */
export function newCallId(): string {
  let id = "ca_";
  let left = RANDOM_CHARACTERS;
  while (left > 0) {
    for (const byte of crypto.getRandomValues(new Uint8Array(left + 8))) {
      if (byte >= BYTE_LIMIT || left === 0) continue;
      id += ALPHABET.charAt(byte % ALPHABET.length);
      left -= 1;
    }
  }
  return id;
}

/** Whether `id` can be a call's. */
export function isCallId(id: string): boolean {
  return /^ca_[0-9a-z]{26}$/.test(id);
}
