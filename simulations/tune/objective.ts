/**
 * What a search makes as small as it can: an expression over figures, such as
 * `cost + 0.002*waitP99Ms`.
 *
 *     sum     = product (("+" | "-") product)*
 *     product = factor (("*" | "/") factor)*
 *     factor  = "-" factor | number | figure | ("max" | "min") "(" sum ("," sum)* ")" | "(" sum ")"
 *
 * Read by recursive descent into a tree; nothing of the text is ever run as code.
 */
import { PlatformError } from "../../core/index.ts";
import { nearestWord } from "../../documents/index.ts";
import type { Figures } from "./figures.ts";

export interface Objective {
  /** As it was given. */
  readonly text: string;
  /** The figures it reads, each once, in the order in which they are first read. */
  readonly names: readonly string[];
  /**
   * Its value; smaller is better. `Infinity` where a figure is absent or the value is not finite:
   * a candidate that cannot be judged is the worst.
   */
  readonly of: (figures: Figures) => number;
}

/**
 * Reads an objective.
 *
 * @param known The figures there are.
 * @throws PlatformError `invalid_request` with the column of what is wrong, and what may stand there.
 */
export function readObjective(text: string, known: readonly string[]): Objective {
  const parser = new Parser(text, known);
  const tree = parser.read();
  return {
    text: text.trim(),
    names: [...parser.names],
    of: (figures) => {
      const value = tree(figures);
      return Number.isFinite(value) ? value : Infinity;
    },
  };
}

/** A part of an objective that was read; NaN where a figure is absent. */
type Part = (figures: Figures) => number;

interface Token {
  readonly kind: "number" | "word" | "sign" | "end";
  readonly text: string;
  /** From 1. */
  readonly column: number;
}

const TOKEN = /\s*(?:(\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)|([a-z_]\w*)|([-+*/(),]))/iy;
const CALLS: Readonly<Record<string, (...values: number[]) => number>> = {
  max: Math.max,
  min: Math.min,
};
/** Far beyond what a person writes; keeps the parser from running out of stack. */
const TEXT_LENGTH_MAX = 2_000;
const DEPTH_MAX = 100;

class Parser {
  readonly names = new Set<string>();
  readonly #text: string;
  readonly #known: readonly string[];
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(text: string, known: readonly string[]) {
    this.#text = text;
    this.#known = known;
    if (text.length > TEXT_LENGTH_MAX) {
      throw this.#error(1, `has ${text.length} characters, at most ${TEXT_LENGTH_MAX} are allowed`);
    }
    this.#tokens = this.#split();
  }

  read(): Part {
    if (this.#tokens.length === 0) throw this.#error(1, "is empty; for example: cost");
    const tree = this.#sum();
    if (this.#at < this.#tokens.length) throw this.#unexpected("an operator (+ - * /) or the end");
    if (this.names.size === 0) {
      throw this.#error(1, `names no figure, so all policies are alike; ${this.#figures()}`);
    }
    return tree;
  }

  get #now(): Token {
    return this.#tokens[this.#at] ?? { kind: "end", text: "", column: this.#text.length + 1 };
  }

  #split(): readonly Token[] {
    const tokens: Token[] = [];
    TOKEN.lastIndex = 0;
    const end = this.#text.trimEnd().length;
    while (TOKEN.lastIndex < end) {
      const from = TOKEN.lastIndex;
      const [whole, number, word, sign] = TOKEN.exec(this.#text) ?? [];
      if (whole === undefined) {
        const space = /^\s*/.exec(this.#text.slice(from))?.[0].length ?? 0;
        const at = from + space;
        const given = JSON.stringify(String.fromCodePoint(this.#text.codePointAt(at) ?? 0));
        throw this.#error(at + 1, `${given} is no part of an objective: ${ALLOWED_SIGNS}`);
      }
      const text = number ?? word ?? sign ?? "";
      const kind = number !== undefined ? "number" : word !== undefined ? "word" : "sign";
      tokens.push({ kind, text, column: from + whole.length - text.length + 1 });
    }
    return tokens;
  }

  #sum(): Part {
    let left = this.#product();
    for (;;) {
      const [first, sign] = [left, this.#sign("+", "-")];
      if (sign === undefined) return left;
      const second = this.#product();
      left =
        sign === "+"
          ? (figures) => first(figures) + second(figures)
          : (figures) => first(figures) - second(figures);
    }
  }

  #product(): Part {
    let left = this.#factor();
    for (;;) {
      const [first, sign] = [left, this.#sign("*", "/")];
      if (sign === undefined) return left;
      const second = this.#factor();
      left =
        sign === "*"
          ? (figures) => first(figures) * second(figures)
          : (figures) => first(figures) / second(figures);
    }
  }

  #factor(): Part {
    const token = this.#now;
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) throw this.#error(token.column, "is nested too deeply");
    const part = this.#read(token);
    this.#depth -= 1;
    return part;
  }

  #read(token: Token): Part {
    if (this.#sign("-") !== undefined) {
      const negated = this.#factor();
      return (figures) => -negated(figures);
    }
    if (this.#sign("(") !== undefined) {
      const inner = this.#sum();
      this.#close();
      return inner;
    }
    if (token.kind === "number") {
      this.#at += 1;
      const value = Number(token.text);
      return () => value;
    }
    if (token.kind !== "word") throw this.#unexpected("a figure, a number or (");
    this.#at += 1;
    return Object.hasOwn(CALLS, token.text) ? this.#call(token) : this.#figure(token);
  }

  #call({ text: name }: Token): Part {
    if (this.#sign("(") === undefined) throw this.#unexpected(`( after ${name}`);
    const parts = [this.#sum()];
    while (this.#sign(",") !== undefined) parts.push(this.#sum());
    this.#close();
    const call = CALLS[name] ?? Math.max;
    return (figures) => call(...parts.map((part) => part(figures)));
  }

  #figure({ text: name, column }: Token): Part {
    if (!this.#known.includes(name)) {
      const near = nearestWord(name, this.#known) ?? longerName(name, this.#known);
      const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
      throw this.#error(column, `${name} is no figure${hint}; ${this.#figures()}`);
    }
    this.names.add(name);
    return (figures) => figures[name] ?? Number.NaN;
  }

  #sign(...signs: readonly string[]): string | undefined {
    const { kind, text } = this.#now;
    if (kind !== "sign" || !signs.includes(text)) return undefined;
    this.#at += 1;
    return text;
  }

  #close(): void {
    if (this.#sign(")") === undefined) throw this.#unexpected(") or an operator (+ - * /)");
  }

  #figures(): string {
    return `figures are ${this.#known.join(", ")}`;
  }

  #unexpected(wanted: string): PlatformError {
    const { kind, text, column } = this.#now;
    const given = kind === "end" ? "it ends" : `there is ${text}`;
    return this.#error(column, `${given} where ${wanted} is expected`);
  }

  #error(column: number, problem: string): PlatformError {
    const shown = this.#text.length > 200 ? `${this.#text.slice(0, 200)}…` : this.#text;
    const message = `the objective ${JSON.stringify(shown)}, column ${column}: ${problem}`;
    return new PlatformError(message, { code: "invalid_request", retryable: false });
  }
}

const ALLOWED_SIGNS = "it takes figures, numbers, + - * / ( ) and max( , ) or min( , )";

/** The name that begins with what was written: a unit was forgotten. */
function longerName(wrong: string, names: readonly string[]): string | undefined {
  return names.find((name) => name.toLowerCase().startsWith(wrong.toLowerCase()));
}
