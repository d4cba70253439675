/** Who is to blame when a container ends: a pure decision. */
import type { WireError } from "../../sdk/protocol/index.ts";
import type { SandboxExit } from "../runtime/runtime.ts";
import type { ContainerExit } from "./link.ts";

export interface EndOfContainer {
  readonly exit: SandboxExit;
  /** What we had asked for, if it did not end by itself. */
  readonly ordered: "stop" | "timeout" | "startup_timeout" | undefined;
  /** It had said that the user's code is loaded. */
  readonly wasReady: boolean;
  /** Why the user's module did not load, when the runner said so. */
  readonly loadError: WireError | undefined;
  /** The code with which the user's code called exit, and the input that ran. */
  readonly announced: { readonly exitCode: number; readonly inputId?: string } | undefined;
  /** Inputs without a result, oldest first: the first of them ran. */
  readonly inputIds: readonly string[];
  readonly timeoutMs: number;
  readonly startupTimeoutMs: number;
  /** Most that it might hold, and what of that was reserved for it. */
  readonly memoryMiB: number;
  readonly reservedMiB: number;
  /** The last that it wrote to its standard error. */
  readonly lastWords: string;
  /** It wrote there that its heap was exhausted. */
  readonly heapExhausted: boolean;
  /** Why we had to give it up: it could not start, its runner broke the protocol, its image went. */
  readonly fault: string | undefined;
}

/** How a program ends that aborts, as Node does without heap: by the signal, or 128 + 6. */
const ABORTED = { signal: "SIGABRT", exitCode: 134 } as const;

export interface Verdict {
  readonly kind: ContainerExit["kind"];
  readonly message: string;
  /** The input that fails for it; undefined when it is not certain which one did it. */
  readonly blamed: { readonly inputId: string; readonly error: WireError } | undefined;
}

/**
 * Judges the end of a container.
 *
 * An input is blamed only when it is certain: it ran past its limit, the runner named it, or it
 * was alone and the runner did not say that none ran. All others run again.
 */
export function judge(end: EndOfContainer): Verdict {
  const kind = kindOf(end);
  const message = messageFor(kind, end);
  const inputId = culpritOf(kind, end);
  const code = codeOf(kind);
  if (inputId === undefined || code === undefined) return { kind, message, blamed: undefined };
  return { kind, message, blamed: { inputId, error: { name: nameOf(kind), message, code } } };
}

function kindOf(end: EndOfContainer): ContainerExit["kind"] {
  if (end.ordered === "stop") return "stopped";
  if (end.ordered === "timeout") return "timed_out";
  if (end.ordered === "startup_timeout" || !end.wasReady) return "startup_failed";
  return ranOutOfMemory(end) ? "out_of_memory" : "exited";
}

function ranOutOfMemory({ exit, announced, fault, heapExhausted }: EndOfContainer): boolean {
  // Its own wish, or ours: whatever the exit code looks like.
  if (announced !== undefined || fault !== undefined) return false;
  const aborted = exit.signal === ABORTED.signal || exit.exitCode === ABORTED.exitCode;
  return exit.outOfMemory || (heapExhausted && aborted);
}

function culpritOf(kind: ContainerExit["kind"], end: EndOfContainer): string | undefined {
  if (kind === "timed_out") return end.inputIds[0];
  if (end.announced !== undefined) {
    return end.inputIds.find((inputId) => inputId === end.announced?.inputId);
  }
  return end.inputIds.length === 1 ? end.inputIds[0] : undefined;
}

function codeOf(kind: ContainerExit["kind"]): WireError["code"] {
  switch (kind) {
    case "timed_out":
      return "timed_out";
    case "out_of_memory":
      return "out_of_memory";
    case "exited":
      return "container_exited";
    case "stopped":
    case "startup_failed":
      return undefined;
  }
}

function nameOf(kind: ContainerExit["kind"]): string {
  if (kind === "timed_out") return "TimeoutError";
  return kind === "out_of_memory" ? "OutOfMemoryError" : "ContainerExitedError";
}

function messageFor(kind: ContainerExit["kind"], end: EndOfContainer): string {
  switch (kind) {
    case "stopped":
      return end.fault === undefined
        ? "the container was stopped"
        : `the container was ended: ${end.fault}`;
    case "timed_out":
      return `the input ran longer than its limit of ${end.timeoutMs} ms and its container was ended`;
    case "out_of_memory":
      return `the container ran out of its ${memoryOf(end)}`;
    case "startup_failed":
      return startupMessage(end);
    case "exited":
      return end.fault === undefined
        ? `the container ended with ${describeExit(end)} while the function ran`
        : `the container was ended: ${end.fault}`;
  }
}

function startupMessage(end: EndOfContainer): string {
  if (end.loadError !== undefined)
    return `the function's code did not load: ${end.loadError.message}`;
  if (end.ordered === "startup_timeout") {
    return `the function's code did not load within ${end.startupTimeoutMs} ms`;
  }
  if (end.fault !== undefined) return `the container could not start: ${end.fault}`;
  if (ranOutOfMemory(end)) {
    return `the container ran out of its ${memoryOf(end)} while starting`;
  }
  const words = end.lastWords === "" ? "" : `: ${end.lastWords}`;
  return `the container ended with ${describeExit(end)} before its code was loaded${words}`;
}

/** One that holds more than it reserves may have been ended because its machine ran short. */
function memoryOf({ memoryMiB, reservedMiB }: EndOfContainer): string {
  if (memoryMiB <= reservedMiB) return `${memoryMiB} MiB of memory`;
  return `memory: its limit is ${memoryMiB} MiB, of which only ${reservedMiB} MiB are reserved`;
}

function describeExit({ exit, announced }: EndOfContainer): string {
  if (announced !== undefined) return `exit code ${announced.exitCode}`;
  if (exit.signal !== undefined) return `signal ${exit.signal}`;
  return `exit code ${exit.exitCode ?? "unknown"}`;
}
