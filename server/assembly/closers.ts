/** What was opened, to be closed in the reverse order, each within its time. */
import { messageOf } from "../../core/index.ts";

interface Closer {
  readonly what: string;
  readonly close: () => Promise<unknown>;
}

/** Longest wait for one part to close; the rest must not wait for it for ever. */
const CLOSE_MS_MAX = 20_000;

export class Closers {
  readonly #closers: Closer[] = [];
  readonly #onStep: (what: string) => void;
  readonly #onError: (error: unknown, doing: string) => void;
  #closing: Promise<void> | undefined;

  constructor(onStep: (what: string) => void, onError: (error: unknown, doing: string) => void) {
    this.#onStep = onStep;
    this.#onError = onError;
  }

  add(what: string, close: () => Promise<unknown>): void {
    this.#closers.push({ what, close });
  }

  /** Closes everything, last opened first; a part that fails to close is reported. */
  async close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    await this.#closing;
  }

  async #closeAll(): Promise<void> {
    for (const { what, close } of this.#closers.toReversed()) {
      this.#onStep(what);
      try {
        await withinTime(close(), what);
      } catch (error) {
        this.#onError(error, `closing ${what}: ${messageOf(error)}`);
      }
    }
  }
}

async function withinTime(closing: Promise<unknown>, what: string): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new Error(`${what} did not close within ${CLOSE_MS_MAX} ms`));
  }, CLOSE_MS_MAX);
  try {
    await Promise.race([closing, promise]);
  } finally {
    clearTimeout(timer);
  }
}
