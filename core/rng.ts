/**
 * Deterministic chance: a small counter-free generator (sfc32) that can be forked by label.
 *
 * Forking gives every use its own stream, so that a new draw in one place does not shift the
 * others. Not for keys, tokens or anything a stranger must not guess.
 *
 * Source: C. Doty-Humphrey, PractRand (sfc32); FNV-1a for labels.
 */
export interface Rng {
  /** Uniform in [0, 1). */
  next(): number;
  /** A whole number in [0, bound). @param bound whole, >= 1. */
  below(bound: number): number;
  /** An independent stream; equal labels on equal parents give equal streams. */
  fork(label: string): Rng;
  /** Where the stream is now. */
  save(): RngState;
  /** Goes on from where a stream was; forks are not changed by it. */
  resume(state: RngState): void;
}

/** Where a stream is: four words. Plain data. */
export type RngState = readonly [number, number, number, number];

/** A generator whose stream is fixed by `seed`. */
export function createRng(seed: number | string): Rng {
  return fromState(stateOf(String(seed)));
}

function stateOf(text: string): RngState {
  const word = (salt: number): number => {
    let hash = 0x811c9dc5 ^ salt;
    for (let index = 0; index < text.length; index += 1) {
      hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
    }
    return hash >>> 0;
  };
  return [word(1), word(2), word(3), 1];
}

function fromState(state: RngState): Rng {
  let [a, b, c, counter] = state;
  const nextWord = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return sum >>> 0;
  };
  for (let round = 0; round < 12; round += 1) nextWord();
  const forkKey = state.join(".");
  return {
    next: () => nextWord() / 4294967296,
    below: (bound) => Math.floor((nextWord() / 4294967296) * bound),
    fork: (label) => fromState(stateOf(`${forkKey}/${label}`)),
    save: () => [a, b, c, counter],
    resume: (saved) => {
      [a, b, c, counter] = saved;
    },
  };
}
