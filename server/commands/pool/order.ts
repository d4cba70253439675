/** `flotilla pool cordon|uncordon|drain|release NODE`. */
import { createInterface } from "node:readline/promises";
import type { OrderReport } from "../../fleet/pool-report.ts";
import { postJson } from "../api-client.ts";
import { CommandError, settle } from "../outcome.ts";
import type { OrderKind, OrderOptions } from "./options.ts";

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

/** Orders something of one node. A release that would cut containers off is asked about first. */
export async function runOrder(
  kind: OrderKind,
  nodeId: string,
  options: OrderOptions,
): Promise<void> {
  await settle(async () => {
    const body = bodyOf(options);
    const report = await send(kind, nodeId, body).catch(async (error: unknown) => {
      if (kind !== "release" || !isBusy(error)) throw error;
      await confirm(error.message);
      return send(kind, nodeId, { ...body, evenIfBusy: true });
    });
    console.log(options.json === true ? JSON.stringify(report) : orderText(kind, report));
  });
}

/** What came of it, for people. */
export function orderText(
  kind: OrderKind,
  { nodeId, state, isChanged, containers }: OrderReport,
): string {
  const already = isChanged ? "" : " already";
  const what = `${nodeId} is ${state}${already}`;
  const noun = containers === 1 ? "container" : "containers";
  if (kind === "drain" && containers > 0) {
    return `✔ ${what}; ${containers} ${noun} still finish there, then the machine is given back`;
  }
  if (kind === "release") return `✔ ${what}; its machine is being given back`;
  return `✔ ${what}`;
}

/** A time such as `90s`, `10m` or `2h`, in ms. @throws CommandError for anything else */
export function deadlineMsOf(text: string): number {
  const [, amount, unit = ""] = /^(\d{1,6})(s|m|h)$/.exec(text) ?? [];
  const unitMs = UNITS_MS[unit];
  if (amount === undefined || unitMs === undefined) {
    const message = `--deadline takes a time such as 90s, 10m or 2h, not ${text}`;
    throw new CommandError("usage", message);
  }
  return Number(amount) * unitMs;
}

function bodyOf({ reason, deadline, yes }: OrderOptions): Readonly<Record<string, unknown>> {
  return {
    ...(reason === undefined ? {} : { reason }),
    ...(deadline === undefined ? {} : { deadlineMs: deadlineMsOf(deadline) }),
    ...(yes === true ? { evenIfBusy: true } : {}),
  };
}

async function send(kind: OrderKind, nodeId: string, body: unknown): Promise<OrderReport> {
  const path = `/v1/pool/nodes/${encodeURIComponent(nodeId)}/${kind}`;
  return (await postJson(path, body)) as OrderReport;
}

/** The server names how many containers run there. */
function isBusy(error: unknown): error is CommandError {
  return error instanceof CommandError && typeof error.details["containers"] === "number";
}

/** @throws CommandError unless somebody says yes. */
async function confirm(question: string): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new CommandError("usage", question, { nextStep: "say -y to release it all the same" });
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${question}\nRelease it all the same? [y/N] `);
    if (/^y(es)?$/i.test(answer.trim())) return;
  } finally {
    terminal.close();
  }
  throw new CommandError("interrupted", "nothing was released");
}
