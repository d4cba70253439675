/**
 * Texts as vectors whose angle says how much they have in common, computed without a model.
 *
 * Each word, and each run of four characters in it, is hashed to one of the vector's places and a
 * sign (feature hashing: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning",
 * 2009), so the dot product of two vectors estimates what their texts share without a vocabulary,
 * and "sails" is near "sailor". It knows words and not meanings: "boat" is far from "ship".
 */

/** Numbers in a vector. */
export const DIMENSIONS = 1_024;
const GRAM_CHARACTERS = 4;
/** A shared word says more than a shared part of one. */
const GRAM_WEIGHT = 0.3;

/** A vector of length 1; of length 0 for a text without words. */
export function embed(text: string): Float32Array<ArrayBuffer> {
  const vector = new Float32Array(DIMENSIONS);
  for (const [feature, weight] of featuresOf(text)) {
    const hash = fnv1a(feature);
    const place = hash % DIMENSIONS;
    // The sign comes from bits that the place does not use, and lets collisions cancel out.
    vector[place] = (vector[place] ?? 0) + (hash >>> 31 === 1 ? weight : -weight);
  }
  const length = Math.hypot(...vector);
  return length === 0 ? vector : vector.map((value) => value / length);
}

/** From -1 to 1 for vectors of length 1: the cosine of their angle. */
export function likeness(left: Float32Array, right: Float32Array): number {
  return left.reduce((sum, value, at) => sum + value * (right[at] ?? 0), 0);
}

/** Paragraphs, each with the Markdown heading right above it; what is longer than `charactersMax` is cut between words where it can be. */
export function passagesOf(text: string, charactersMax = 600): readonly string[] {
  const joined = text.replace(/^(#+ .*)\r?\n\s*\n/gm, "$1\n");
  const paragraphs = joined.split(/\n\s*\n/).map((each) => each.replace(/\s+/g, " ").trim());
  return paragraphs.flatMap((paragraph) => {
    const passages: string[] = [];
    let rest = paragraph;
    while (rest.length > charactersMax) {
      const space = rest.lastIndexOf(" ", charactersMax);
      const end = space > 0 ? space : charactersMax;
      passages.push(rest.slice(0, end));
      rest = rest.slice(end).trimStart();
    }
    return rest === "" ? passages : [...passages, rest];
  });
}

/** Words and parts of words with their weights; a repeated one counts by its root. */
function featuresOf(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [word] of text.toLowerCase().matchAll(/[\p{L}\p{N}]+/gu)) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const features = new Map<string, number>();
  const add = (feature: string, weight: number): void => {
    features.set(feature, (features.get(feature) ?? 0) + weight);
  };
  for (const [word, count] of counts) {
    // Short words are in all texts: a word counts by its length, up to one of eight characters.
    const weight = Math.sqrt(count) * Math.min(1, word.length / 8) ** 2;
    add(`=${word}`, weight);
    for (let at = 0; at + GRAM_CHARACTERS <= word.length; at += 1) {
      add(word.slice(at, at + GRAM_CHARACTERS), weight * GRAM_WEIGHT);
    }
  }
  return features;
}

/** FNV-1a of 32 bits over UTF-16 units, and a last stir for its high bits (murmur3's). */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
