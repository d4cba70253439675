/** Says in plain words what a platform event means, for people who watch the quick start. */
import type { PlanSummary, PlatformEvent } from "../../sdk/protocol/index.ts";

/** One line of the story: who it is about, and what happened. */
export interface StoryLine {
  readonly subject: "call" | "plan" | "node" | "container" | "output";
  readonly text: string;
}

/** Turns events into lines; repeats of one plan or one reason are told once. */
export function createNarrator(): (event: PlatformEvent) => readonly StoryLine[] {
  const told = new Set<string>();
  return (event) => {
    const lines = linesOf(event);
    if (!REPEATABLE.has(event.kind)) return lines;
    const key = JSON.stringify(lines);
    if (told.has(key)) return [];
    told.add(key);
    return lines;
  };
}

/** Kinds that come again with every tick while nothing changes. */
const REPEATABLE: ReadonlySet<PlatformEvent["kind"]> = new Set(["plan.made", "call.pending"]);

function linesOf(event: PlatformEvent): readonly StoryLine[] {
  switch (event.kind) {
    case "call.queued":
      return [{ subject: "call", text: `queued: ${counted(event.inputs, "input")}` }];
    case "call.pending":
      return [{ subject: "call", text: `waits: ${event.reason}` }];
    case "call.finished":
      return [
        {
          subject: "call",
          text: `finished: ${event.succeeded} succeeded, ${event.failed} failed`,
        },
      ];
    case "plan.made":
      return planLines(event.plan);
    case "log":
      return event.text
        .trimEnd()
        .split("\n")
        .map((text) => ({ subject: "output", text: `│ ${text}` }));
    case "schedule.started":
    case "schedule.missed":
      return [];
    case "container.placed":
    case "container.starting":
    case "container.ready":
    case "container.exited":
      return [{ subject: "container", text: containerText(event) }];
    default:
      return [{ subject: "node", text: nodeText(event) }];
  }
}

type ContainerEvent = Extract<PlatformEvent, { kind: `container.${string}` }>;
type NodeEvent = Extract<PlatformEvent, { kind: `node.${string}` }>;

function containerText(event: ContainerEvent): string {
  switch (event.kind) {
    case "container.placed":
      return `placed on ${shortId(event.nodeId)}: ${event.reason}`;
    case "container.starting":
      return "sandbox starting";
    case "container.ready":
      return `sandbox ready after ${Math.round(event.startMs)} ms`;
    case "container.exited":
      return `ended: ${event.reason}`;
  }
}

function nodeText(event: NodeEvent): string {
  switch (event.kind) {
    case "node.requested": {
      const price = `$${event.usdPerHour.toFixed(2)}/h`;
      // Why this one: that is the plan's, which is told before.
      return `launch of ${event.offerId} at ${price}`;
    }
    case "node.booting":
      return `the provider accepted it as ${event.providerNodeId}; booting`;
    case "node.refused":
      return `the provider refused ${event.offerId}: ${event.reason}`;
    case "node.registered": {
      const emulated = event.emulated ? " [EMULATED]" : "";
      return `registered: ${event.description}${emulated}, isolation: ${event.isolation}`;
    }
    case "node.draining":
      return `draining: ${event.reason}`;
    case "node.terminated":
      return `terminated: ${event.reason}`;
  }
}

/** A plan without a change or a shortage is no news. */
function planLines(plan: PlanSummary): readonly StoryLine[] {
  const changes = plan.lines.filter((line) => line.delta !== 0);
  if (changes.length === 0 && plan.unmet.length === 0) return [];
  const gapPercent = (plan.gapFraction * 100).toFixed(2);
  const head =
    `${plan.offersConsidered} offers considered by ${plan.solver} in ` +
    `${Math.round(plan.solveMs)} ms: ${plan.status}, gap ${gapPercent} %`;
  const chosen = changes.map((line) => {
    const sign = line.delta > 0 ? "+" : "";
    const machine = `${line.instanceType} (${line.purchase}, ${line.zone ?? line.region})`;
    return `${sign}${line.delta} × ${line.cloud} ${machine} at $${line.usdPerHour.toFixed(2)}/h: ${line.reason}`;
  });
  const unmet = plan.unmet.map((gap) => `unmet: ${gap.quantity} × ${gap.classId}: ${gap.reason}`);
  return [head, ...chosen, ...unmet].map((text) => ({ subject: "plan", text }));
}

function shortId(id: string | undefined): string {
  return id === undefined ? "a node" : `${id.slice(0, 3)}…${id.slice(-4)}`;
}

function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}
