/** How operator commands end: their exit codes and how they say what went wrong. */
import { messageOf, PlatformError, type ErrorDetails } from "../../core/index.ts";

/** Exit codes by kind of failure; the same as those of the other commands. */
export const EXIT = {
  failed: 1,
  usage: 2,
  auth_failed: 3,
  not_found: 4,
  capacity: 5,
  unreachable: 6,
  interrupted: 130,
} as const;

export interface CommandErrorOptions {
  /** What to do about it, one sentence. */
  readonly nextStep?: string;
  /** Figures that the server gave with its refusal. */
  readonly details?: ErrorDetails;
  readonly cause?: unknown;
}

/** A failure that is no bug: shown as a message and the next step, without a stack. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly kind: keyof typeof EXIT;
  readonly nextStep: string | undefined;
  readonly details: ErrorDetails;

  constructor(kind: keyof typeof EXIT, message: string, options: CommandErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.nextStep = options.nextStep;
    this.details = options.details ?? {};
  }
}

/**
 * Runs a command to its end. A failure becomes a message on stderr and an exit code; one that
 * nobody foresaw shows its stack.
 */
export async function settle(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    console.error(failureText(error));
  }
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommandError) return EXIT[error.kind];
  const isUsage = error instanceof PlatformError && error.code === "invalid_request";
  return isUsage ? EXIT.usage : EXIT.failed;
}

/** What a command says about what it threw. */
export function failureText(error: unknown): string {
  if (error instanceof CommandError) {
    const next = error.nextStep === undefined ? "" : `\n  next: ${error.nextStep}`;
    return `error[${error.kind}]: ${error.message}${next}`;
  }
  if (error instanceof PlatformError) return `error[${error.code}]: ${error.message}`;
  return `error: ${error instanceof Error ? (error.stack ?? error.message) : messageOf(error)}`;
}
