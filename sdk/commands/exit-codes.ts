/** Exit codes, which scripts rely on. */
import { isFlotillaError } from "../errors.ts";

export const EXIT = {
  ok: 0,
  userCodeFailed: 1,
  usage: 2,
  auth: 3,
  notFound: 4,
  quota: 5,
  unreachable: 6,
  interrupted: 130,
} as const;

const BY_NAME: Readonly<Record<string, number>> = {
  AuthError: EXIT.auth,
  InterruptedError: EXIT.interrupted,
  NotFoundError: EXIT.notFound,
  QuotaError: EXIT.quota,
  SandboxEndedError: EXIT.notFound,
  SerializationError: EXIT.usage,
  ServerUnreachableError: EXIT.unreachable,
  UsageError: EXIT.usage,
};

/** The exit code for what a command threw; everything that is no error of ours is the user's. */
export function exitCodeOf(thrown: unknown): number {
  if (!isFlotillaError(thrown)) return EXIT.userCodeFailed;
  if (thrown.code === "invalid_request") return EXIT.usage;
  return BY_NAME[thrown.name] ?? EXIT.userCodeFailed;
}
