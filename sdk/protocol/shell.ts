/**
 * A shell in a container: `GET /v1/containers/{containerId}/shell?rows&cols&term&command` with
 * `Upgrade: flotilla-shell`. After the answer 101 both sides send frames: a kind (one character),
 * two numbers of 16 bits, least byte first, and data.
 *
 *     i LENGTH 0 data     to the shell: input, as typed; the end of this side hangs up
 *     r ROWS COLUMNS      to the shell: the size of its terminal
 *     o LENGTH 0 data     from it: what the terminal shows
 *     m LENGTH 0 data     from it: why nothing runs, or why it was cut off
 *     x CODE 0            from it: the exit code; the last frame
 */

/** What the header `Upgrade` says. */
export const SHELL_PROTOCOL = "flotilla-shell";
/** Most words of a command, and characters of them all. */
export const SHELL_WORDS_MAX = 256;
export const SHELL_CHARACTERS_MAX = 8_192;

/** One frame. */
export interface ShellFrame {
  readonly kind: string;
  readonly first: number;
  readonly data: Uint8Array;
}

const HEADER_BYTES = 5;
const KINDS_WITH_DATA = "iom";
const NUMBER_MAX = 0xffff;

/** The bytes of a frame without data. */
export function encodeShellFrame(kind: string, first: number, second = 0): Uint8Array {
  const frame = new Uint8Array(HEADER_BYTES);
  const view = new DataView(frame.buffer);
  view.setUint8(0, kind.charCodeAt(0));
  view.setUint16(1, first, true);
  view.setUint16(3, second, true);
  return frame;
}

/** The bytes of as many frames as data of any length needs. */
export function encodeShellData(kind: string, data: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < data.byteLength; at += NUMBER_MAX) {
    const piece = data.subarray(at, at + NUMBER_MAX);
    parts.push(encodeShellFrame(kind, piece.byteLength), piece);
  }
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

/** Puts frames together from bytes that come cut anywhere. */
export class ShellFrameDecoder {
  #held = new Uint8Array(0);

  /** The frames that are whole now. */
  push(bytes: Uint8Array): readonly ShellFrame[] {
    const all = new Uint8Array(this.#held.byteLength + bytes.byteLength);
    all.set(this.#held);
    all.set(bytes, this.#held.byteLength);
    const view = new DataView(all.buffer);
    const frames: ShellFrame[] = [];
    let at = 0;
    while (all.byteLength - at >= HEADER_BYTES) {
      const kind = String.fromCharCode(view.getUint8(at));
      const first = view.getUint16(at + 1, true);
      const end = at + HEADER_BYTES + (KINDS_WITH_DATA.includes(kind) ? first : 0);
      if (end > all.byteLength) break;
      frames.push({ kind, first, data: all.slice(at + HEADER_BYTES, end) });
      at = end;
    }
    this.#held = all.slice(at);
    return frames;
  }
}
