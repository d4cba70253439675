/** Flags of instructions: what they ask for, and errors for those that cannot be had here. */
import type { UsageError } from "../../../errors.ts";

/** Makes the error for the line that is being read. */
type Wrong = (problem: string) => UsageError;

interface Flag {
  readonly name: string;
  readonly value: string;
}

export interface CopyFlags {
  readonly from?: string;
  readonly owner?: string;
  readonly mode?: number;
  readonly rest: string;
}

const PLATFORM_OF_BUILD = /^\$\{?(BUILD|TARGET)PLATFORM\}?$/;

/** The flags of COPY and ADD. @throws what `wrong` makes */
export function copyFlagsOf(name: string, text: string, wrong: Wrong): CopyFlags {
  const { flags, rest } = split(text);
  const found: { from?: string; owner?: string; mode?: number } = {};
  for (const flag of flags) {
    const { value } = flag;
    if (flag.name === "from" && name === "COPY") found.from = value;
    else if (flag.name === "chown") found.owner = value;
    else if (flag.name === "chmod") found.mode = modeOf(name, value, wrong);
    // How layers are stored, which is seen nowhere.
    else if (flag.name !== "link") throw wrong(`${name} --${flag.name} is not supported`);
  }
  return { ...found, rest };
}

/** What FROM names. @throws what `wrong` makes */
export function fromFlagsOf(text: string, wrong: Wrong): string {
  const { flags, rest } = split(text);
  const other = flags.find(
    ({ name, value }) => name !== "platform" || !PLATFORM_OF_BUILD.test(value),
  );
  if (other === undefined) return rest;
  throw wrong(
    `FROM --${other.name}=${other.value} is not supported: images are built for the server's ` +
      "processor",
  );
}

/** What RUN runs, and what is to be said of its flags. @throws what `wrong` makes */
export function runFlagsOf(
  text: string,
  wrong: Wrong,
): { readonly command: string; readonly notice?: string } {
  const { flags, rest } = split(text);
  for (const { name, value } of flags) {
    const isCache = name === "mount" && /(^|,)type=cache(,|$)/.test(value);
    if (isCache || (name === "network" && value === "default")) continue;
    throw wrong(`RUN --${name}=${value} is not supported: only plain commands and caches`);
  }
  const hasCache = flags.some(({ name }) => name === "mount");
  const notice = "RUN --mount=type=cache is passed over: nothing is kept between builds";
  return { command: rest, ...(hasCache ? { notice } : {}) };
}

function modeOf(name: string, value: string, wrong: Wrong): number {
  if (/^[0-7]{3,4}$/.test(value)) return Number.parseInt(value, 8);
  throw wrong(`${name} --chmod=${value} is not supported: write it as three or four octal digits`);
}

/** Flags at the beginning, and what follows them. */
function split(text: string): { readonly flags: readonly Flag[]; readonly rest: string } {
  const flags: Flag[] = [];
  let rest = text;
  for (;;) {
    const found = /^--([a-z-]+)(?:=(\S*))?(?:\s+|$)/.exec(rest);
    if (found === null) return { flags, rest };
    const [whole, name = "", value = ""] = found;
    flags.push({ name, value });
    rest = rest.slice(whole.length);
  }
}
