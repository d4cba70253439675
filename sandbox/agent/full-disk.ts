/** Says which limit an input has met that failed because it could not write. */
import { TMP_MIB } from "../runtime/oci-spec.ts";
import type { AgentResult, StartContainer } from "./link.ts";

const FULL = /\bENOSPC\b|\bNo space left on device\b/i;
const READ_ONLY = /\bEROFS\b|\bRead-only file system\b/i;

/** A result whose error, if it is about a full or read-only disk, says what may be written. */
export function explainDisk(
  result: AgentResult,
  { diskMiB, resources }: Pick<StartContainer, "diskMiB" | "resources">,
): AgentResult {
  const { error } = result;
  if (error === undefined || error.code !== undefined) return result;
  const tmpMiB = Math.min(TMP_MIB, resources.memoryMiB);
  const tmp = `/tmp holds ${tmpMiB} MiB`;
  const root = diskMiB === undefined ? "the root is read-only" : `the root ${diskMiB} MiB`;
  if (FULL.test(error.message)) {
    const advice = diskMiB === undefined ? "; diskMiB gives it a disk" : " (diskMiB)";
    return saying(result, error, `${tmp}, ${root}${advice}`);
  }
  if (!READ_ONLY.test(error.message) || diskMiB !== undefined) return result;
  return saying(result, error, `only /tmp can be written to; diskMiB gives it a disk`);
}

function saying(
  result: AgentResult,
  error: NonNullable<AgentResult["error"]>,
  what: string,
): AgentResult {
  return { ...result, error: { ...error, message: `${error.message} [${what}]` } };
}
