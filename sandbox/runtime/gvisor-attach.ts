/** Programs beside what runs in a container under gVisor: `runsc exec`. */
import { spawn } from "node:child_process";
import { GUEST_FILE } from "../runners/guest-program.ts";
import type { RunscCall } from "./gvisor-images.ts";
import { USER_ID } from "./oci-spec.ts";
import type { AttachedProgram, RunningSandbox, SandboxSpec } from "./runtime.ts";

/** Exit code of a runsc that was killed (128 + SIGKILL). */
const KILLED = 137;

/** A sandbox of a container in which terminals can be opened. */
export function attachable(
  sandbox: RunningSandbox,
  call: RunscCall,
  { containerId, image }: SandboxSpec,
): RunningSandbox {
  const workdir = image?.workdir ?? "/tmp";
  return {
    ...sandbox,
    attach: (command) => attachIn(call, containerId, { command, workdir }),
  };
}

/** Starts a program in a terminal of a running container, as its user and with no capability. */
function attachIn(
  { runsc, globalFlags, env }: RunscCall,
  containerId: string,
  { command, workdir }: { readonly command: readonly string[]; readonly workdir: string },
): AttachedProgram {
  const user = `${USER_ID}:${USER_ID}`;
  const flags = ["exec", `--user=${user}`, `--cwd=${workdir}`, containerId];
  const child = spawn(
    runsc,
    [...globalFlags, ...flags, `/runner/${GUEST_FILE}`, "shell", ...command],
    {
      stdio: "pipe",
      env,
    },
  );
  child.stdin.on("error", () => undefined);
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    exited: new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve(code ?? KILLED));
    }),
    kill: () => void child.kill("SIGKILL"),
  };
}
