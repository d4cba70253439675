/** `flotilla sandbox`: isolated machines for arbitrary code. */
import { once } from "node:events";
import { Sandbox, type SandboxSummary } from "../sandbox/sandbox.ts";
import type { SandboxProcess } from "../sandbox/sandbox-process.ts";
import type { TerminalSize } from "../sandbox/terminal-size.ts";
import { lendInput, localTerminalSize } from "./local-terminal.ts";
import { ageOf, tableOf } from "./table.ts";
import { printData, printJson, printProgress } from "./terminal.ts";

export async function listSandboxes(options: { json?: boolean }): Promise<void> {
  const sandboxes = await Sandbox.list();
  if (options.json === true) printJson({ sandboxes });
  else if (sandboxes.length === 0) printProgress("No sandboxes; make one with Sandbox.create().");
  else printData(sandboxTable(sandboxes, Date.now()));
}

/** How `flotilla sandbox exec` runs a program. */
interface ExecFlags {
  readonly workdir?: string;
  readonly interactive?: boolean;
  readonly tty?: boolean;
}

/** Runs a program in a sandbox as if it ran here; its exit code becomes this command's. */
export async function execInSandbox(
  sandboxId: string,
  command: readonly string[],
  { workdir, interactive = false, tty = false }: ExecFlags,
): Promise<void> {
  const pty = tty ? localTerminalSize() : undefined;
  const sandbox = await Sandbox.fromId(sandboxId);
  const program = await sandbox.exec(command, {
    ...(workdir === undefined ? {} : { workdir }),
    ...(pty === undefined ? {} : { pty, env: { TERM: process.env["TERM"] ?? "xterm-256color" } }),
  });
  const takeBack = await giveInput(program, { isLent: interactive || tty, hasTerminal: tty });
  try {
    const [{ exitCode }] = await Promise.all([
      program.wait(),
      pass(program.stdout, process.stdout),
      pass(program.stderr, process.stderr),
    ]);
    process.exitCode = exitCode;
  } finally {
    takeBack();
  }
}

async function giveInput(
  program: SandboxProcess,
  { isLent, hasTerminal }: { readonly isLent: boolean; readonly hasTerminal: boolean },
): Promise<() => void> {
  if (!isLent) {
    await program.end();
    return () => undefined;
  }
  const input = {
    write: (bytes: Uint8Array) => program.write(bytes),
    end: () => program.end(),
    ...(hasTerminal ? { resize: (size: TerminalSize) => program.resize(size) } : {}),
  };
  return lendInput(input, (error) => {
    printProgress(`The program gets no more input: ${String(error)}`);
  });
}

async function pass(from: AsyncIterable<Uint8Array>, to: NodeJS.WritableStream): Promise<void> {
  for await (const chunk of from) {
    if (!to.write(chunk)) await once(to, "drain");
  }
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
