/**
 * Dockerfiles, as far as an image here can be made of them: FROM, RUN, COPY, ADD of local files,
 * ENV, WORKDIR and ARG, in one stage. What says how a container is started (CMD, ENTRYPOINT, …)
 * is passed over with a notice, because functions are started by the platform; everything else
 * is an error that names its line. Source: docs.docker.com/reference/dockerfile (2025-06).
 */
import { UsageError } from "../../errors.ts";
import { hintFor } from "../../did-you-mean.ts";

export type DockerStep =
  | { readonly kind: "run"; readonly commands: readonly string[] }
  | {
      readonly kind: "copy";
      readonly line: number;
      readonly sources: readonly string[];
      readonly target: string;
    }
  | { readonly kind: "env"; readonly variables: Readonly<Record<string, string>> }
  | { readonly kind: "workdir"; readonly path: string };

export interface ParsedDockerfile {
  /** A reference, or `scratch`. */
  readonly from: string;
  readonly steps: readonly DockerStep[];
  /** Lines that say nothing here, for people. */
  readonly notices: readonly string[];
}

const PASSED_OVER = new Map([
  ["CMD", "functions are started by the platform"],
  ["ENTRYPOINT", "functions are started by the platform"],
  ["EXPOSE", "functions have no ports"],
  ["USER", "steps run as root, and functions as a user without rights"],
  ["LABEL", "images here have no labels"],
  ["MAINTAINER", "images here have no labels"],
  ["STOPSIGNAL", "functions are ended by the platform"],
  ["HEALTHCHECK", "functions are watched by the platform"],
]);
const REFUSED = new Map([
  ["VOLUME", "there are no anonymous volumes here"],
  ["ONBUILD", "nothing is built on top of this image by Docker"],
  ["SHELL", "commands run in /bin/sh"],
]);
const KNOWN = [
  ...["FROM", "RUN", "COPY", "ADD", "ENV", "WORKDIR", "ARG"],
  ...PASSED_OVER.keys(),
  ...REFUSED.keys(),
];
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Parts of a word in quotes, and characters after a backslash. */
const QUOTED = /\\.|"(?:\\.|[^"\\])*"|'[^']*'/gs;
/** A word: no white space but in those. A quote that is not closed takes the rest. */
const WORD = /(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|["'].*|[^\s"'])+/gs;
/** `$NAME`, `${NAME}`, `${NAME:-otherwise}`, `${NAME:+instead}`; without a name what is none. */
const VARIABLE = /\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::([-+])([^}]*))?\}|\{[^}]*\}?)/g;

/** Reads a Dockerfile. @param file Its name, for errors. @throws UsageError naming file and line */
export function parseDockerfile(text: string, file: string): ParsedDockerfile {
  const reader = new DockerfileReader(file);
  for (const instruction of instructionsOf(text, file)) reader.take(instruction);
  return reader.result();
}

interface Instruction {
  readonly line: number;
  readonly name: string;
  readonly rest: string;
}

/** Instructions with continued lines joined and comments left out. */
function instructionsOf(text: string, file: string): readonly Instruction[] {
  const instructions: Instruction[] = [];
  let held = "";
  let startLine = 0;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = index + 1;
    if (isComment(raw, `${file}:${line}`) || (held === "" && raw.trim() === "")) continue;
    if (held === "") startLine = line;
    if (CONTINUED.test(raw)) {
      held += raw.replace(CONTINUED, " ");
      continue;
    }
    const [, name = "", rest = ""] = /^\s*(\S+)\s*(.*?)\s*$/s.exec(held + raw) ?? [];
    instructions.push({ line: startLine, name: name.toUpperCase(), rest });
    held = "";
  }
  if (held.trim() === "") return instructions;
  throw new UsageError(`${file}:${startLine}: the last line is continued, and ends`);
}

const CONTINUED = /\\\s*$/;

function isComment(raw: string, where: string): boolean {
  if (!/^\s*#/.test(raw)) return false;
  if (!/^\s*#\s*escape\s*=\s*[^\\\s]/i.test(raw)) return true;
  throw new UsageError(`${where}: only "\\" continues a line`);
}

class DockerfileReader {
  readonly #file: string;
  readonly #steps: DockerStep[] = [];
  readonly #notices: string[] = [];
  /** Values of ARG, which commands see and functions do not. */
  readonly #args = new Map<string, string>();
  readonly #env = new Map<string, string>();
  readonly #takers = new Map<string, (instruction: Instruction) => void>([
    ["FROM", (instruction) => this.#takeFrom(instruction)],
    ["ARG", (instruction) => this.#takeArg(instruction)],
    ["ENV", (instruction) => this.#takeEnv(instruction)],
    ["RUN", (instruction) => this.#takeRun(instruction)],
    ["COPY", (instruction) => this.#takeCopy(instruction)],
    ["ADD", (instruction) => this.#takeCopy(instruction)],
    ["WORKDIR", (instruction) => this.#takeWorkdir(instruction)],
  ]);
  #from: string | undefined;
  #workdir = "/";

  constructor(file: string) {
    this.#file = file;
  }

  take(instruction: Instruction): void {
    const { name, line } = instruction;
    if (this.#from === undefined && name !== "FROM" && name !== "ARG") {
      throw this.#wrong(line, `${name} comes before FROM`);
    }
    const why = PASSED_OVER.get(name);
    if (why !== undefined) {
      this.#notices.push(`${this.#file}:${line}: ${name} is passed over: ${why}`);
      return;
    }
    const take = this.#takers.get(name);
    if (take === undefined) throw this.#unknown(instruction);
    take(instruction);
  }

  result(): ParsedDockerfile {
    if (this.#from === undefined) throw new UsageError(`${this.#file} has no FROM`);
    return { from: this.#from, steps: this.#steps, notices: this.#notices };
  }

  #takeFrom({ line, rest }: Instruction): void {
    if (this.#from !== undefined) {
      throw this.#wrong(
        line,
        "a second FROM: several stages are not built; split them into images",
      );
    }
    const words = rest.split(/\s+/);
    if (words[0]?.startsWith("--")) throw this.#wrong(line, `FROM ${words[0]} is not supported`);
    const [ref = "", as, name] = words;
    const isNamed = words.length === 3 && as?.toUpperCase() === "AS" && name !== undefined;
    if (ref === "" || (words.length > 1 && !isNamed))
      throw this.#wrong(line, "FROM takes one image");
    this.#from = this.#expand(ref, line);
    // What ARG said before FROM holds for FROM alone.
    this.#args.clear();
  }

  #takeArg({ line, rest }: Instruction): void {
    for (const word of this.#words(rest, line)) {
      const equals = word.indexOf("=");
      const name = equals < 0 ? word : word.slice(0, equals);
      if (!VARIABLE_NAME.test(name)) throw this.#wrong(line, `ARG has no name in "${word}"`);
      const value = equals < 0 ? (this.#args.get(name) ?? "") : word.slice(equals + 1);
      this.#args.set(name, this.#expand(value, line));
    }
  }

  #takeEnv({ line, rest }: Instruction): void {
    const words = this.#words(rest, line);
    const isOld = words[0]?.includes("=") !== true;
    const [, oldName = "", oldValue = ""] = /^(\S+)\s+(.*)$/s.exec(rest) ?? [];
    const pairs = isOld ? [`${oldName}=${oldValue}`] : words;
    const variables = new Map<string, string>();
    for (const pair of pairs) {
      const equals = pair.indexOf("=");
      const name = pair.slice(0, Math.max(0, equals));
      if (!VARIABLE_NAME.test(name)) throw this.#wrong(line, `ENV takes NAME=value, not "${pair}"`);
      variables.set(name, this.#expand(pair.slice(equals + 1), line));
    }
    for (const [name, value] of variables) this.#env.set(name, value);
    this.#steps.push({ kind: "env", variables: Object.fromEntries(variables) });
  }

  #takeRun({ line, rest }: Instruction): void {
    if (rest === "") throw this.#wrong(line, "RUN has no command");
    if (rest.startsWith("--")) {
      throw this.#wrong(
        line,
        `RUN ${rest.split(/\s/)[0] ?? ""} is not supported: only plain commands`,
      );
    }
    if (/^<<|\s<<-?["']?[A-Za-z_]+["']?\s*$/.test(rest)) {
      throw this.#wrong(line, 'RUN with a here-document is not supported: use "&& \\"');
    }
    const args = [...this.#args]
      .map(([name, value]) => `export ${name}=${quoted(value)}; `)
      .join("");
    this.#steps.push({ kind: "run", commands: [args + (this.#execForm(rest, line) ?? rest)] });
  }

  #takeCopy({ line, name, rest }: Instruction): void {
    const listed = this.#list(rest, line);
    const words = (listed ?? this.#words(rest, line)).map((word) => this.#expand(word, line));
    const flag = words.find((word) => word.startsWith("--"));
    if (flag !== undefined) throw this.#wrong(line, `${name} ${flag} is not supported`);
    const target = words.at(-1);
    const sources = words.slice(0, -1);
    if (target === undefined || sources.length === 0) {
      throw this.#wrong(line, `${name} takes what to copy and where to`);
    }
    const remote = sources.find((source) => /^[a-z+]+:\/\/|^git@/.test(source));
    if (remote !== undefined) {
      throw this.#wrong(line, `${name} of ${remote} is not supported: fetch it in a RUN`);
    }
    if (
      name === "ADD" &&
      sources.some((source) => /\.(tar|tgz|tar\.\w+|t[xbz]z2?)$/.test(source))
    ) {
      throw this.#wrong(line, "ADD does not unpack archives here: COPY it and unpack it in a RUN");
    }
    const isFolder = target.endsWith("/") || sources.length > 1 || target === ".";
    const absolute = this.#resolve(target);
    const end = isFolder && !absolute.endsWith("/") ? "/" : "";
    this.#steps.push({ kind: "copy", line, sources, target: `${absolute}${end}` });
  }

  #takeWorkdir({ line, rest }: Instruction): void {
    const path = this.#expand(rest.replace(/^(["'])(.*)\1$/, "$2"), line);
    if (path === "") throw this.#wrong(line, "WORKDIR has no path");
    this.#workdir = this.#resolve(path);
    this.#steps.push({ kind: "workdir", path: this.#workdir });
  }

  /** `["program", "argument"]` as a command of the shell; undefined when it is none. */
  #execForm(rest: string, line: number): string | undefined {
    return this.#list(rest, line)?.map(quoted).join(" ");
  }

  #list(rest: string, line: number): readonly string[] | undefined {
    if (!rest.startsWith("[")) return undefined;
    try {
      const list: unknown = JSON.parse(rest);
      if (Array.isArray(list) && list.every((word) => typeof word === "string")) return list;
    } catch {
      // Told below: it is no JSON.
    }
    throw this.#wrong(line, `${rest.slice(0, 40)} is no list of texts in double quotes`);
  }

  #resolve(path: string): string {
    const parts: string[] = [];
    const whole = path.startsWith("/") ? path : `${this.#workdir}/${path}`;
    for (const part of whole.split("/")) {
      if (part === "..") parts.pop();
      else if (part !== "" && part !== ".") parts.push(part);
    }
    return `/${parts.join("/")}`;
  }

  /** Words with quotes taken off; escaped spaces do not end a word. */
  #words(text: string, line: number): readonly string[] {
    const tokens = text.match(WORD) ?? [];
    return tokens.map((token) => {
      const open = /["']/.exec(token.replace(QUOTED, ""))?.[0];
      if (open !== undefined) throw this.#wrong(line, `a ${open} is not closed`);
      return token.replace(QUOTED, (part) => unquoted(part));
    });
  }

  #expand(text: string, line: number): string {
    return text.replace(VARIABLE, (whole) => {
      const [, plain, braced, sign, other = ""] = new RegExp(VARIABLE.source).exec(whole) ?? [];
      const name = plain ?? braced;
      if (name === undefined) throw this.#wrong(line, `${whole} is no variable`);
      const value = this.#env.get(name) ?? this.#args.get(name) ?? "";
      if (sign === "+") return value === "" ? "" : other;
      return value === "" && sign === "-" ? other : value;
    });
  }

  #unknown({ name, line }: Instruction): UsageError {
    const why = REFUSED.get(name);
    if (why !== undefined) return this.#wrong(line, `${name} is not supported: ${why}`);
    return this.#wrong(line, `there is no instruction ${name}${hintFor(name, KNOWN)}`);
  }

  #wrong(line: number, problem: string): UsageError {
    return new UsageError(`${this.#file}:${line}: ${problem}`);
  }
}

/** As one word of the shell. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** What a quoted part of a word, or an escaped character, stands for. */
function unquoted(part: string): string {
  if (part.startsWith("'")) return part.slice(1, -1);
  return part.replace(/^"(.*)"$/s, "$1").replace(/\\(.)/gs, "$1");
}
