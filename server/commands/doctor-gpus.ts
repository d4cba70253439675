/** What `flotilla doctor` says of a machine's GPUs. */
import type { GpuExamination } from "../../sandbox/index.ts";
import type { Finding } from "./finding.ts";

/**
 * The finding: which cards there are, whether containers under gVisor can have them, and whether
 * memory snapshots hold what is on them.
 *
 * @param gpus Lines of nvidia-smi, one a card.
 */
export function gpuFindingOf(
  gpus: readonly string[],
  examination: GpuExamination | undefined,
): Finding {
  const name = "GPUs";
  if (gpus.length === 0) {
    return {
      name,
      state: "absent",
      detail: "none (nvidia-smi lists none)",
      mend: "to try things out, declare emulated ones: flotilla up --local-gpus H100:8",
    };
  }
  const cards = gpus.join("; ");
  if (examination === undefined) {
    const detail = `${cards}; its driver shows nothing in /proc/driver/nvidia`;
    const mend =
      "load the driver (modprobe nvidia), or go without gVisor: flotilla up --unisolated";
    return { name, state: "bad", detail, mend };
  }
  const { driverVersion, fault, lost } = examination;
  if (fault !== undefined) {
    const detail = `${cards}; containers under gVisor cannot have them`;
    return { name, state: "bad", detail, mend: fault };
  }
  const detail = `${cards}; driver ${driverVersion}, containers have them by nvproxy`;
  if (lost === undefined) {
    return { name, state: "good", detail: `${detail}, and memory snapshots hold what is on them` };
  }
  return { name, state: "good", detail: `${detail}; no memory snapshots with GPUs: ${lost}` };
}
