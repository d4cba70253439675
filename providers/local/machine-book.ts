/**
 * The book of the machines that this one was rented as: what a cloud keeps of its own.
 *
 * One file, written whole and renamed into place, before the agent is started and after; so a
 * control plane that crashed in between finds its machine again. Machines that have ended are
 * forgotten after an hour, as clouds do, or when there are too many.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf, MS_PER_HOUR, PlatformError, systemCodeOf } from "../../core/index.ts";

/** A machine as it was rented, and the agent that it is. */
export interface BookedMachine {
  readonly machineId: string;
  readonly clientToken: string;
  /** All nodes of its request, in its order; the first got the machine. */
  readonly nodeIds: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
  readonly launchedAtMs: number;
  /** Its agent; absent from the intent to start it until it is known to run. */
  readonly agent?: { readonly pid: number; readonly identity: string };
  /** When its agent was first seen to have ended; absent while it was not. */
  readonly endedAtMs?: number;
  /** When it was given back; absent before. */
  readonly releasedAtMs?: number;
}

const ENDED_KEPT_MS = MS_PER_HOUR;
const ENDED_COUNT_MAX = 64;

/** The book of a file, read once: nobody else writes it. */
export class MachineBook {
  readonly #path: string;
  #machines: readonly BookedMachine[] | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Oldest first.
   *
   * @throws PlatformError `unavailable` when the file cannot be read or holds something else.
   */
  all(): readonly BookedMachine[] {
    this.#machines ??= readBook(this.#path);
    return this.#machines;
  }

  /** Writes a machine down, in the place of what was known of it. @throws PlatformError */
  put(machine: BookedMachine, nowMs: number): void {
    const others = this.all().filter(({ machineId }) => machineId !== machine.machineId);
    this.#write([...others, machine], nowMs);
  }

  /** Strikes a machine that never came to be. @throws PlatformError */
  remove(id: string, nowMs: number): void {
    const others = this.all().filter(({ machineId }) => machineId !== id);
    this.#write(others, nowMs);
  }

  #write(machines: readonly BookedMachine[], nowMs: number): void {
    const kept = withoutOld(machines, nowMs);
    try {
      mkdirSync(dirname(this.#path), { recursive: true });
      writeFileSync(`${this.#path}.new`, JSON.stringify({ machines: kept }), { mode: 0o600 });
      renameSync(`${this.#path}.new`, this.#path);
    } catch (error) {
      throw unusable(`cannot write ${this.#path} (${messageOf(error)}); make room for it`, error);
    }
    this.#machines = kept;
  }
}

function withoutOld(machines: readonly BookedMachine[], nowMs: number): readonly BookedMachine[] {
  const endOf = ({ releasedAtMs, endedAtMs }: BookedMachine): number | undefined =>
    releasedAtMs === undefined ? undefined : (endedAtMs ?? releasedAtMs);
  const isOver = (machine: BookedMachine): boolean => endOf(machine) !== undefined;
  const isOld = (machine: BookedMachine): boolean =>
    nowMs - (endOf(machine) ?? nowMs) >= ENDED_KEPT_MS;
  const remembered = new Set(
    machines.filter((one) => isOver(one) && !isOld(one)).slice(-ENDED_COUNT_MAX),
  );
  return machines.filter((one) => !isOver(one) || remembered.has(one));
}

function readBook(path: string): readonly BookedMachine[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return [];
    throw unusable(`cannot read ${path} (${messageOf(error)})`, error);
  }
  const machines = machinesIn(text);
  if (machines !== undefined) return machines;
  throw unusable(
    `${path} is not a book of machines; end the agents it speaks of with \`flotilla down\`, and ` +
      "remove the file",
  );
}

function machinesIn(text: string): readonly BookedMachine[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const machines: unknown = isRecord(value) ? value["machines"] : undefined;
    return Array.isArray(machines) && machines.every(isBooked) ? machines : undefined;
  } catch {
    // What is no JSON is no book.
    return undefined;
  }
}

function isBooked(value: unknown): value is BookedMachine {
  if (!isRecord(value)) return false;
  const { machineId, clientToken, nodeIds, tags, launchedAtMs, agent } = value;
  return (
    typeof machineId === "string" &&
    typeof clientToken === "string" &&
    Array.isArray(nodeIds) &&
    isRecord(tags) &&
    typeof launchedAtMs === "number" &&
    (agent === undefined || isAgent(agent))
  );
}

function isAgent(value: unknown): boolean {
  return (
    isRecord(value) && typeof value["pid"] === "number" && typeof value["identity"] === "string"
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function unusable(message: string, cause?: unknown): PlatformError {
  return new PlatformError(message, { code: "unavailable", retryable: false, cause });
}
