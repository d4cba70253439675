/** Events as lines for people. */
import pc from "picocolors";
import type { EventBody, PlatformEvent } from "../protocol/index.ts";
import { withoutControls } from "./terminal.ts";

type Show<Kind extends EventBody["kind"]> = (
  event: PlatformEvent & Extract<EventBody, { readonly kind: Kind }>,
) => string | undefined;

type Lines = { readonly [Kind in EventBody["kind"]]: Show<Kind> };

const LINES: Lines = {
  "call.queued": ({ inputs }) => `call queued: ${counted(inputs, "input")}`,
  "call.pending": ({ reason }) => `waiting: ${reason}`,
  "call.finished": ({ succeeded, failed }) =>
    `call finished: ${succeeded} succeeded${failed === 0 ? "" : `, ${failed} failed`}`,
  "plan.made": ({ plan }) =>
    `plan: ${plan.offersConsidered} offers considered in ${Math.round(plan.solveMs)} ms by ${plan.solver}` +
    plan.lines
      .filter(({ delta }) => delta !== 0)
      .map(
        (line) =>
          `\n    ${signed(line.delta)} × ${line.offerId} at ${dollars(line.usdPerHour)}: ${line.reason}`,
      )
      .join(""),
  "node.requested": ({ offerId, usdPerHour, reason }) =>
    `node requested: ${offerId} at ${dollars(usdPerHour)}: ${reason}`,
  "node.booting": ({ nodeId }) => `node booting${idOf(nodeId)}`,
  "node.refused": ({ offerId, reason }) => `node refused: ${offerId}: ${reason}`,
  "node.registered": ({ description, emulated, isolation }) =>
    `node registered: ${description}${emulated ? ", GPUs emulated" : ""}` +
    (isolation === "process" ? ", NOT isolated" : ""),
  "node.draining": ({ nodeId, reason }) => `node draining${idOf(nodeId)}: ${reason}`,
  "node.terminated": ({ nodeId, reason }) => `node terminated${idOf(nodeId)}: ${reason}`,
  "container.placed": ({ reason }) => `container placed: ${reason}`,
  "container.starting": ({ containerId }) => `container starting${idOf(containerId)}`,
  "container.ready": ({ startMs }) => `container ready in ${Math.round(startMs)} ms`,
  "container.exited": ({ reason }) => `container ended: ${reason}`,
  log: () => undefined,
};

/** One or more lines about `event`, without control characters; undefined for a log line. */
export function showEvent(event: PlatformEvent): string | undefined {
  const show = LINES[event.kind] as Show<EventBody["kind"]> | undefined;
  const line = show?.(event);
  return line === undefined ? undefined : pc.dim(`• ${withoutControls(line)}`);
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
