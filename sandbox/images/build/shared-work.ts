/**
 * Work that several may want at once and is done once: who comes later follows what is under way,
 * and it is cancelled only when nobody follows it any more.
 */

/** One who wants a piece of work. */
export interface Follower {
  readonly onLine: (text: string) => void;
  readonly signal: AbortSignal;
}

interface Piece {
  readonly followers: Set<Follower>;
  readonly cancelling: AbortController;
  readonly lines: string[];
  readonly done: Promise<void>;
}

/** Lines that one who comes late is told first. */
const LINES_KEPT = 200;

export class SharedWork {
  readonly #pieces = new Map<string, Piece>();

  /** Keys of what is under way. */
  get keys(): ReadonlySet<string> {
    return new Set(this.#pieces.keys());
  }

  /**
   * Does `work` under a key, or follows it while it is under way.
   *
   * @throws what `work` throws; the reason of the follower's signal when that ends first.
   */
  async do(key: string, follower: Follower, work: (all: Follower) => Promise<void>): Promise<void> {
    follower.signal.throwIfAborted();
    const piece = this.#pieces.get(key) ?? this.#begin(key, work);
    piece.followers.add(follower);
    for (const line of piece.lines) follower.onLine(line);
    const leaving = Promise.withResolvers<never>();
    const leave = (): void => leaving.reject(follower.signal.reason as Error);
    follower.signal.addEventListener("abort", leave, { once: true });
    try {
      await Promise.race([piece.done, leaving.promise]);
    } finally {
      follower.signal.removeEventListener("abort", leave);
      piece.followers.delete(follower);
      if (piece.followers.size === 0) piece.cancelling.abort(new Error("nobody waits for it"));
    }
  }

  #begin(key: string, work: (all: Follower) => Promise<void>): Piece {
    const followers = new Set<Follower>();
    const cancelling = new AbortController();
    const lines: string[] = [];
    const onLine = (text: string): void => {
      lines.push(text);
      if (lines.length > LINES_KEPT) lines.shift();
      for (const follower of followers) follower.onLine(text);
    };
    const done = work({ onLine, signal: cancelling.signal }).finally(() => {
      if (this.#pieces.get(key) === piece) this.#pieces.delete(key);
    });
    // Whoever follows it hears of its failure; there may be nobody left.
    done.catch(() => undefined);
    const piece: Piece = { followers, cancelling, lines, done };
    this.#pieces.set(key, piece);
    // Nobody may join what is being given up.
    cancelling.signal.addEventListener("abort", () => {
      if (this.#pieces.get(key) === piece) this.#pieces.delete(key);
    });
    return piece;
  }
}
