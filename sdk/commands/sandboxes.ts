/** `flotilla sandbox`: isolated machines for arbitrary code. */
import { Sandbox, type SandboxSummary } from "../sandbox/sandbox.ts";
import { ageOf, tableOf } from "./table.ts";
import { printData, printJson, printProgress } from "./terminal.ts";

export async function listSandboxes(options: { json?: boolean }): Promise<void> {
  const sandboxes = await Sandbox.list();
  if (options.json === true) printJson({ sandboxes });
  else if (sandboxes.length === 0) printProgress("No sandboxes; make one with Sandbox.create().");
  else printData(sandboxTable(sandboxes, Date.now()));
}

/** Runs a program in a sandbox as if it ran here; its exit code becomes this command's. */
export async function execInSandbox(
  sandboxId: string,
  command: readonly string[],
  { workdir }: { workdir?: string },
): Promise<void> {
  const sandbox = await Sandbox.fromId(sandboxId);
  const program = await sandbox.exec(command, workdir === undefined ? {} : { workdir });
  await program.end();
  const pass = async (from: AsyncIterable<Uint8Array>, to: NodeJS.WritableStream) => {
    for await (const chunk of from) to.write(chunk);
  };
  const [{ exitCode }] = await Promise.all([
    program.wait(),
    pass(program.stdout, process.stdout),
    pass(program.stderr, process.stderr),
  ]);
  process.exitCode = exitCode;
}

export async function terminateSandbox(
  sandboxId: string,
  options: { json?: boolean },
): Promise<void> {
  await (await Sandbox.fromId(sandboxId)).terminate();
  if (options.json === true) printJson({ sandboxId, state: "terminated" });
  else printProgress(`Terminated ${sandboxId}`);
}

/** The sandboxes as a table, in the order given. */
function sandboxTable(sandboxes: readonly SandboxSummary[], nowMs: number): string {
  return tableOf(
    ["SANDBOX", "STATE", "AGE", "ENDS AT"],
    sandboxes.map(({ sandboxId, containers, createdAtMs, endsAtMs }) => [
      sandboxId,
      containers > 0 ? "running" : "idle",
      ageOf(createdAtMs, nowMs),
      new Date(endsAtMs).toISOString(),
    ]),
  );
}
