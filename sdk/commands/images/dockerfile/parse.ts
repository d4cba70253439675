/**
 * Dockerfiles, as far as an image here can be made of them: stages, commands with their user and
 * shell, files of the context and of other stages and images. What says how a container is
 * started (CMD, ENTRYPOINT, …) is passed over with a notice, because functions are started by the
 * platform; everything else is an error that names its line. Source:
 * docs.docker.com/reference/dockerfile (2025-06).
 */
import { UsageError } from "../../../errors.ts";
import { hintFor } from "../../../did-you-mean.ts";
import { copyFlagsOf, fromFlagsOf, runFlagsOf, type CopyFlags } from "./flags.ts";
import { instructionsOf, type HereDocument, type Instruction } from "./lines.ts";
import { expanded, shellQuoted, unquoted, wordsOf, WordsError } from "./words.ts";

/** Where files are copied from that are not of the context. */
export type CopySource =
  | { readonly kind: "stage"; readonly stage: number }
  | { readonly kind: "image"; readonly ref: string };

/** Whose the files are that are copied, and what may be done with them. */
export interface CopyRights {
  /** As it is written: user, or user:group, by name or number. */
  readonly owner?: string;
  readonly mode?: number;
}

export interface DockerCopy extends CopyRights {
  readonly kind: "copy";
  readonly line: number;
  readonly sources: readonly string[];
  /** Files that are in the Dockerfile itself. */
  readonly texts: readonly { readonly name: string; readonly text: string }[];
  readonly target: string;
  /** Absent: the context. */
  readonly from?: CopySource;
}

export type DockerStep =
  | {
      readonly kind: "run";
      readonly commands: readonly string[];
      readonly shell: readonly string[];
      readonly env?: Readonly<Record<string, string>>;
      readonly user?: string;
    }
  | DockerCopy
  | { readonly kind: "env"; readonly variables: Readonly<Record<string, string>> }
  | { readonly kind: "workdir"; readonly path: string };

export interface DockerStage {
  readonly line: number;
  /** In small letters, as stages are found. */
  readonly name?: string;
  /** A reference, `scratch`, or an earlier stage. */
  readonly from: string | number;
  readonly steps: readonly DockerStep[];
}

export interface ParsedDockerfile {
  /** In order; at least one. */
  readonly stages: readonly DockerStage[];
  /** The stage that is asked for. */
  readonly target: number;
  /** Lines that say nothing here, for people. */
  readonly notices: readonly string[];
}

export interface DockerfileOptions {
  /** Its name, for errors. */
  readonly file: string;
  /** Values for ARG. */
  readonly args?: Readonly<Record<string, string>>;
  /** Name or number of the stage to make; the last one unless given. */
  readonly target?: string;
}

const PASSED_OVER = new Map([
  ["CMD", "functions are started by the platform"],
  ["ENTRYPOINT", "functions are started by the platform"],
  ["EXPOSE", "functions have no ports; app.webServer names one"],
  ["LABEL", "images here have no labels"],
  ["MAINTAINER", "images here have no labels"],
  ["STOPSIGNAL", "functions are ended by the platform"],
  ["HEALTHCHECK", "functions are watched by the platform"],
]);
const REFUSED = new Map([
  ["VOLUME", "there are no anonymous volumes here; see Volume"],
  ["ONBUILD", "nothing is built on top of this image by Docker"],
]);
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const DEFAULT_SHELL: readonly string[] = ["/bin/sh", "-c"];
/** What Docker gives every build; here the processor is the server's, which is not known yet. */
const PLATFORM_ARGS = /^(TARGET|BUILD)(PLATFORM|ARCH|VARIANT)$/;
const OS_ARGS = /^(TARGET|BUILD)OS$/;

/** Reads a Dockerfile. @throws UsageError naming file and line */
export function parseDockerfile(text: string, options: DockerfileOptions): ParsedDockerfile {
  const reader = new DockerfileReader(options);
  for (const instruction of instructionsOf(text, options.file)) reader.take(instruction);
  return reader.result();
}

/** A stage while its instructions are read. */
interface Draft {
  readonly line: number;
  readonly name: string | undefined;
  readonly from: string | number;
  readonly steps: DockerStep[];
  readonly args: Map<string, string>;
  readonly env: Map<string, string>;
  workdir: string;
  user: string | undefined;
  shell: readonly string[];
}

/** What a stage begins with that begins from no other. */
const NO_STAGE: Pick<Draft, "env" | "workdir" | "user" | "shell"> = {
  env: new Map(),
  workdir: "/",
  user: undefined,
  shell: DEFAULT_SHELL,
};

class DockerfileReader {
  readonly #options: DockerfileOptions;
  readonly #stages: Draft[] = [];
  readonly #notices: string[] = [];
  /** ARG before the first FROM: for FROM, and for stages that name them again. */
  readonly #globalArgs = new Map<string, string>();
  readonly #unusedArgs: Set<string>;
  readonly #takers = new Map<string, (instruction: Instruction) => void>([
    ["FROM", (instruction) => this.#takeFrom(instruction)],
    ["ARG", (instruction) => this.#takeArg(instruction)],
    ["ENV", (instruction) => this.#takeEnv(instruction)],
    ["RUN", (instruction) => this.#takeRun(instruction)],
    ["COPY", (instruction) => this.#takeCopy(instruction)],
    ["ADD", (instruction) => this.#takeCopy(instruction)],
    ["WORKDIR", (instruction) => this.#takeWorkdir(instruction)],
    ["USER", (instruction) => this.#takeUser(instruction)],
    ["SHELL", (instruction) => this.#takeShell(instruction)],
  ]);
  /** Of the instruction that is being read. */
  #line = 0;

  constructor(options: DockerfileOptions) {
    this.#options = options;
    this.#unusedArgs = new Set(Object.keys(options.args ?? {}));
  }

  take(instruction: Instruction): void {
    const { name, line } = instruction;
    this.#line = line;
    if (this.#stages.length === 0 && name !== "FROM" && name !== "ARG") {
      throw this.#wrong(`${name} comes before FROM`);
    }
    const why = PASSED_OVER.get(name);
    if (why !== undefined) {
      this.#note(`${name} is passed over: ${why}`);
      return;
    }
    const take = this.#takers.get(name);
    if (take === undefined) throw this.#unknown(name);
    try {
      take(instruction);
    } catch (error) {
      throw error instanceof WordsError ? this.#wrong(error.message) : error;
    }
  }

  result(): ParsedDockerfile {
    const { file, target } = this.#options;
    if (this.#stages.length === 0) throw new UsageError(`${file} has no FROM`);
    const [unused] = this.#unusedArgs;
    if (unused !== undefined) {
      throw new UsageError(`${file} has no ARG ${unused}, which args gives a value`);
    }
    const index = target === undefined ? this.#stages.length - 1 : this.#stageOf(target);
    if (index === undefined) throw new UsageError(`${file} has no stage ${String(target)}`);
    const stages = this.#stages.map(({ line, name, from, steps }) => {
      return { line, from, steps, ...(name === undefined ? {} : { name }) };
    });
    return { stages, target: index, notices: this.#notices };
  }

  get #stage(): Draft {
    const stage = this.#stages.at(-1);
    if (stage === undefined) throw this.#wrong("an instruction comes before FROM");
    return stage;
  }

  #takeFrom({ rest }: Instruction): void {
    const { ref, name } = this.#namedIn(fromFlagsOf(rest, (problem) => this.#wrong(problem)));
    const image = unquoted(ref, (variable) => this.#globalArgs.get(variable));
    if (image === "") throw this.#wrong(`FROM ${ref} names no image: its ARG has no value`);
    if (name !== undefined && this.#stageOf(name, false) !== undefined) {
      throw this.#wrong(`there is a stage ${name} already`);
    }
    const parent = this.#stageOf(image, false);
    const before = parent === undefined ? undefined : this.#stages[parent];
    const { env, workdir, user, shell } = before ?? NO_STAGE;
    this.#stages.push({
      line: this.#line,
      name: name?.toLowerCase(),
      from: parent ?? image,
      steps: [],
      args: new Map(),
      env: new Map(env),
      workdir,
      user,
      shell,
    });
  }

  /** `image` or `image AS name`. */
  #namedIn(text: string): { readonly ref: string; readonly name: string | undefined } {
    const [ref = "", as = "AS", name, ...more] = text.split(/\s+/);
    const isNamed = as.toUpperCase() === "AS" && more.length === 0;
    if (ref !== "" && isNamed && /^\S+$|\s\S+\s\S+$/.test(text)) return { ref, name };
    throw this.#wrong("FROM takes one image");
  }

  #takeArg({ rest }: Instruction): void {
    const words = wordsOf(rest, (name) => this.#valueOf(name));
    if (words.length === 0) throw this.#wrong("ARG has no name");
    for (const word of words) {
      const equals = word.indexOf("=");
      const name = equals < 0 ? word : word.slice(0, equals);
      if (!VARIABLE_NAME.test(name)) throw this.#wrong(`ARG has no name in "${word}"`);
      const otherwise = equals < 0 ? this.#globalArgs.get(name) : word.slice(equals + 1);
      this.#unusedArgs.delete(name);
      const value = this.#options.args?.[name] ?? otherwise ?? this.#builtIn(name);
      const args = this.#stages.length === 0 ? this.#globalArgs : this.#stage.args;
      if (value === undefined) args.delete(name);
      else args.set(name, value);
    }
  }

  #builtIn(name: string): string | undefined {
    if (OS_ARGS.test(name)) return "linux";
    if (!PLATFORM_ARGS.test(name)) return undefined;
    throw this.#wrong(
      `ARG ${name} has no value here: images are built for the server's processor; give it ` +
        `by Image.fromDockerfile(path, { args: { ${name}: … } })`,
    );
  }

  #takeEnv({ rest }: Instruction): void {
    const valueOf = (name: string): string | undefined => this.#valueOf(name);
    const isOld = !/^\s*[^\s=]+=/.test(rest);
    const [, oldName = "", oldValue] = /^(\S+)\s+(.*)$/s.exec(rest) ?? [];
    if (isOld && oldValue === undefined) {
      throw this.#wrong(`ENV takes NAME=value, not "${rest}"`);
    }
    const pairs = isOld
      ? [`${oldName}=${unquoted(oldValue ?? "", valueOf)}`]
      : wordsOf(rest, valueOf);
    const variables = new Map<string, string>();
    for (const pair of pairs) {
      const equals = pair.indexOf("=");
      const name = pair.slice(0, Math.max(0, equals));
      if (!VARIABLE_NAME.test(name)) throw this.#wrong(`ENV takes NAME=value, not "${pair}"`);
      variables.set(name, pair.slice(equals + 1));
    }
    const { env, steps } = this.#stage;
    for (const [name, value] of variables) env.set(name, value);
    steps.push({ kind: "env", variables: Object.fromEntries(variables) });
  }

  #takeRun({ rest, documents }: Instruction): void {
    const { command, notice } = runFlagsOf(rest, (problem) => this.#wrong(problem));
    if (notice !== undefined) this.#note(notice);
    if (command === "") throw this.#wrong("RUN has no command");
    const { args, env, shell, steps, user } = this.#stage;
    const list = this.#list(command);
    const variables = [...args].filter(([name]) => !env.has(name));
    steps.push({
      kind: "run",
      commands: [list?.map(shellQuoted).join(" ") ?? commandOf(command, documents)],
      shell: list === undefined ? shell : DEFAULT_SHELL,
      ...(variables.length === 0 ? {} : { env: Object.fromEntries(variables) }),
      ...(user === undefined ? {} : { user }),
    });
  }

  #takeCopy({ name, rest, documents }: Instruction): void {
    const valueOf = (variable: string): string | undefined => this.#valueOf(variable);
    const flags = copyFlagsOf(name, rest, (problem) => this.#wrong(problem));
    const listed = this.#list(flags.rest)?.map((word) => expanded(word, valueOf));
    const words = listed ?? wordsOf(flags.rest, valueOf);
    const target = words.at(-1);
    const given = words.slice(0, -1);
    if (target === undefined || given.length === 0) {
      throw this.#wrong(`${name} takes what to copy and where to`);
    }
    const texts = documents.map(({ name: file, text, expands }) => {
      return { name: file, text: expands ? expanded(text, valueOf, true) : text };
    });
    const sources = documents.length === 0 ? given : given.filter((word) => !/^<<-?/.test(word));
    this.#checkSources(name, sources);
    const absolute = this.#resolve(target);
    const isFolder = target.endsWith("/") || given.length > 1 || target === ".";
    const end = isFolder && !absolute.endsWith("/") ? "/" : "";
    this.#stage.steps.push({
      kind: "copy",
      line: this.#line,
      sources,
      texts,
      target: `${absolute}${end}`,
      ...this.#wishesOf(flags),
    });
  }

  #wishesOf({ from, owner, mode }: CopyFlags): Pick<DockerCopy, "from" | "owner" | "mode"> {
    const valueOf = (variable: string): string | undefined => this.#valueOf(variable);
    return {
      ...(from === undefined ? {} : { from: this.#sourceOf(unquoted(from, valueOf)) }),
      ...(owner === undefined ? {} : { owner: unquoted(owner, valueOf) }),
      ...(mode === undefined ? {} : { mode }),
    };
  }

  #checkSources(name: string, sources: readonly string[]): void {
    const remote = sources.find((source) => /^[a-z+]+:\/\/|^git@/.test(source));
    if (remote !== undefined) {
      throw this.#wrong(`${name} of ${remote} is not supported: fetch it in a RUN`);
    }
    const isArchive = (source: string): boolean => /\.(tar|tgz|tar\.\w+|t[xbz]z2?)$/.test(source);
    if (name === "ADD" && sources.some(isArchive)) {
      throw this.#wrong("ADD does not unpack archives here: COPY it and unpack it in a RUN");
    }
  }

  /** What `--from` means: an earlier stage by name or number, else an image. */
  #sourceOf(from: string): CopySource {
    const own = this.#stages.length - 1;
    const stage = this.#stageOf(from);
    if (stage === own) throw this.#wrong(`--from=${from} is this stage itself`);
    if (stage !== undefined) return { kind: "stage", stage };
    if (/^\d+$/.test(from)) throw this.#wrong(`--from=${from} is no earlier stage`);
    if (from === "") throw this.#wrong("--from names nothing");
    return { kind: "image", ref: from };
  }

  #takeWorkdir({ rest }: Instruction): void {
    const path = unquoted(rest, (name) => this.#valueOf(name));
    if (path === "") throw this.#wrong("WORKDIR has no path");
    const stage = this.#stage;
    stage.workdir = this.#resolve(path);
    stage.steps.push({ kind: "workdir", path: stage.workdir });
  }

  #takeUser({ rest }: Instruction): void {
    const user = unquoted(rest, (name) => this.#valueOf(name));
    if (!/^[A-Za-z0-9_][\w.-]*(:[A-Za-z0-9_][\w.-]*)?$/.test(user)) {
      throw this.#wrong(`USER takes a user, or user:group, not "${user}"`);
    }
    this.#stage.user = user;
    this.#note(`USER ${user} holds for the RUN after it: functions run as a user without rights`);
  }

  #takeShell({ rest }: Instruction): void {
    const list = this.#list(rest);
    if (list === undefined || list.length === 0) {
      throw this.#wrong('SHELL takes a list such as ["/bin/bash", "-c"]');
    }
    this.#stage.shell = list;
  }

  #list(rest: string): readonly string[] | undefined {
    if (!rest.startsWith("[")) return undefined;
    try {
      const list: unknown = JSON.parse(rest);
      if (Array.isArray(list) && list.every((word) => typeof word === "string")) return list;
    } catch {
      // Told below: it is no JSON.
    }
    throw this.#wrong(`${rest.slice(0, 40)} is no list of texts in double quotes`);
  }

  #resolve(path: string): string {
    const parts: string[] = [];
    const whole = path.startsWith("/") ? path : `${this.#stage.workdir}/${path}`;
    for (const part of whole.split("/")) {
      if (part === "..") parts.pop();
      else if (part !== "" && part !== ".") parts.push(part);
    }
    return `/${parts.join("/")}`;
  }

  /** What a variable is worth now: the environment goes before arguments. */
  #valueOf(name: string): string | undefined {
    const stage = this.#stages.at(-1);
    if (stage === undefined) return this.#globalArgs.get(name);
    return stage.env.get(name) ?? stage.args.get(name);
  }

  /** The latest stage of this name, or the one with this number. */
  #stageOf(name: string, byNumber = true): number | undefined {
    const named = this.#stages.findLastIndex((stage) => stage.name === name.toLowerCase());
    if (named >= 0) return named;
    const number = byNumber && /^\d+$/.test(name) ? Number(name) : this.#stages.length;
    return number < this.#stages.length ? number : undefined;
  }

  #note(text: string): void {
    this.#notices.push(`${this.#options.file}:${this.#line}: ${text}`);
  }

  #unknown(name: string): UsageError {
    const why = REFUSED.get(name);
    if (why !== undefined) return this.#wrong(`${name} is not supported: ${why}`);
    const known = [...this.#takers.keys(), ...PASSED_OVER.keys(), ...REFUSED.keys()];
    return this.#wrong(`there is no instruction ${name}${hintFor(name, known)}`);
  }

  #wrong(problem: string): UsageError {
    return new UsageError(`${this.#options.file}:${this.#line}: ${problem}`);
  }
}

/**
 * A command with its here-documents, which shells read themselves. One that is nothing else is
 * the script; with `#!` it names what runs it.
 */
function commandOf(command: string, documents: readonly HereDocument[]): string {
  const [only, ...more] = documents;
  if (
    only !== undefined &&
    more.length === 0 &&
    /^\d*<<-?["']?[A-Za-z0-9_.]+["']?$/.test(command)
  ) {
    if (!only.text.startsWith("#!")) return only.text;
    const file = "/tmp/flotilla-script";
    const write = `printf %s ${shellQuoted(only.text)} > ${file}`;
    return `${write} && chmod +x ${file} && ${file} && rm -f ${file}`;
  }
  const bodies = documents.map(({ name, text }) => `${text}${name}\n`).join("");
  return documents.length === 0 ? command : `${command}\n${bodies}`;
}
