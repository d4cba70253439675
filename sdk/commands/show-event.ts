/** Events as lines for people. */
import type { EventBody, PlanLineSummary, PlanSummary, PlatformEvent } from "../protocol/index.ts";
import { progressLine } from "./terminal.ts";

type Show<Kind extends EventBody["kind"]> = (
  event: PlatformEvent & Extract<EventBody, { readonly kind: Kind }>,
) => string | undefined;

type Lines = { readonly [Kind in EventBody["kind"]]: Show<Kind> };

const LINES: Lines = {
  "call.queued": ({ inputs }) => `call queued: ${counted(inputs, "input")}`,
  "call.pending": ({ reason }) => `waiting: ${reason}`,
  "call.finished": ({ succeeded, failed }) =>
    `call finished: ${succeeded} succeeded${failed === 0 ? "" : `, ${failed} failed`}`,
  "plan.made": ({ plan }) => planLine(plan),
  // Why this one: that is the plan's, which is told before.
  "node.requested": ({ offerId, usdPerHour }) =>
    `node requested: ${offerId} at ${dollars(usdPerHour)}`,
  "node.booting": ({ nodeId }) => `node booting${idOf(nodeId)}`,
  "node.refused": ({ offerId, reason }) => `node refused: ${offerId}: ${reason}`,
  "node.registered": ({ description, emulated, isolation }) =>
    `node registered: ${description}${emulated ? ", GPUs emulated" : ""}` +
    (isolation === "process" ? ", NOT isolated" : ""),
  "node.draining": ({ nodeId, reason }) => `node draining${idOf(nodeId)}: ${reason}`,
  "node.terminated": ({ nodeId, reason }) => `node terminated${idOf(nodeId)}: ${reason}`,
  "container.placed": ({ reason }) => `container placed: ${reason}`,
  "container.starting": ({ containerId }) => `container starting${idOf(containerId)}`,
  "container.ready": ({ startMs, restored = false }) =>
    `container ${restored ? "restored" : "ready"} in ${Math.round(startMs)} ms`,
  "container.exited": ({ reason }) => `container ended: ${reason}`,
  log: () => undefined,
};

/** One or more lines about `event`, without control characters; undefined for a log line. */
export function showEvent(event: PlatformEvent): string | undefined {
  const show = LINES[event.kind] as Show<EventBody["kind"]> | undefined;
  const line = show?.(event);
  return line === undefined ? undefined : progressLine(line);
}

/** A plan that changes nothing is no news: why a call still waits comes as an event of its own. */
function planLine({ lines, offersConsidered, solveMs, solver }: PlanSummary): string | undefined {
  const changes = lines.filter(({ delta }) => delta !== 0);
  if (changes.length === 0) return undefined;
  const head = `plan: ${offersConsidered} offers considered in ${Math.round(solveMs)} ms by ${solver}`;
  return [head, ...changes.map(changeLine)].join("\n");
}

function changeLine({ delta, offerId, usdPerHour, reason }: PlanLineSummary): string {
  return `    ${signed(delta)} × ${offerId} at ${dollars(usdPerHour)}: ${reason}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function signed(count: number): string {
  return count > 0 ? `+${count}` : String(count);
}

function dollars(usdPerHour: number): string {
  return `$${usdPerHour.toFixed(2)}/h`;
}

function idOf(id: string | undefined): string {
  return id === undefined ? "" : ` ${id}`;
}
