/**
 * Maps of bundles, without the files that are nobody's concern.
 *
 * A map says for places of the output where they come from, as differences in base 64 digits of
 * five bits. Source: ECMA-426, source map format, "mappings" (read 2026-11).
 */

/** The parts of a map that bundlers write. */
export interface BundleMap {
  readonly version: number;
  readonly sources: readonly string[];
  readonly names: readonly string[];
  readonly mappings: string;
}

/** Output column, and where it comes from: source, line, column and perhaps a name, by number. */
type Segment = readonly number[];

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUE_BITS = 5;
const VALUE_MASK = 31;
const GOES_ON = 32;

/**
 * The map of the same output in which places of some sources come from nowhere. O(size).
 *
 * @param isLeftOut Says of a source, as the map names it, whether it is.
 */
export function withoutSources(map: BundleMap, isLeftOut: (source: string) => boolean): BundleMap {
  const sources = new Numbering();
  const names = new Numbering();
  const reader = new Differences();
  const writer = new Differences();
  // What lies between two kept places is told once to come from nowhere.
  let isInside = true;
  const labelOf = ([, , label]: readonly number[]): readonly number[] =>
    label === undefined ? [] : [names.of(map.names[label] ?? "")];
  const mappings = map.mappings.split(";").map((line) => {
    reader.newLine();
    writer.newLine();
    const kept: string[] = [];
    for (const text of line === "" ? [] : line.split(",")) {
      const [column = 0, source = -1, ...rest] = reader.add(decode(text));
      const name = map.sources[source];
      const isKept = name !== undefined && !isLeftOut(name);
      if (!isKept && !isInside) continue;
      isInside = isKept;
      const place = isKept ? [sources.of(name), ...rest.slice(0, 2), ...labelOf(rest)] : [];
      kept.push(encode(writer.subtract([column, ...place])));
    }
    return kept.join(",");
  });
  return { ...map, sources: sources.all, names: names.all, mappings: mappings.join(";") };
}

/** Numbers texts in the order in which they are first met. */
class Numbering {
  readonly #numbers = new Map<string, number>();

  get all(): readonly string[] {
    return [...this.#numbers.keys()];
  }

  of(text: string): number {
    const number = this.#numbers.get(text) ?? this.#numbers.size;
    this.#numbers.set(text, number);
    return number;
  }
}

/** Each field of a segment is told as the difference to that field's value before. */
class Differences {
  readonly #before = [0, 0, 0, 0, 0];

  /** Columns of the output begin anew with each line. */
  newLine(): void {
    this.#before[0] = 0;
  }

  add(differences: Segment): Segment {
    return differences.map((difference, field) => {
      return (this.#before[field] = (this.#before[field] ?? 0) + difference);
    });
  }

  subtract(segment: Segment): Segment {
    return segment.map((value, field) => {
      const difference = value - (this.#before[field] ?? 0);
      this.#before[field] = value;
      return difference;
    });
  }
}

function decode(text: string): Segment {
  const values: number[] = [];
  let value = 0;
  let shift = 0;
  for (const digit of text) {
    const bits = DIGITS.indexOf(digit);
    value += (bits & VALUE_MASK) << shift;
    shift += VALUE_BITS;
    if ((bits & GOES_ON) !== 0) continue;
    // The lowest bit is the sign.
    values.push((value & 1) === 1 ? -(value >>> 1) : value >>> 1);
    [value, shift] = [0, 0];
  }
  return values;
}

function encode(segment: Segment): string {
  return segment.map(digitsOf).join("");
}

function digitsOf(value: number): string {
  let left = value < 0 ? (-value << 1) | 1 : value << 1;
  let text = "";
  do {
    const bits = left & VALUE_MASK;
    left >>>= VALUE_BITS;
    text += DIGITS.charAt(left > 0 ? bits | GOES_ON : bits);
  } while (left > 0);
  return text;
}
