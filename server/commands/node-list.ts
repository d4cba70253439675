/** `flotilla node list`: the machines of the platform. */
import type { NodeList, NodeSummary } from "../../sdk/protocol/index.ts";
import { getJson } from "./api-client.ts";
import { columns } from "./columns.ts";
import { settle } from "./outcome.ts";

/** The most that a page may have. */
const PAGE_NODES = 1_000;

/** Prints every node; emulated hardware, missing isolation and faults are named. */
export async function runNodeList(options: { readonly json?: boolean }): Promise<void> {
  await settle(async () => {
    const nodes = await allNodes();
    if (options.json === true) console.log(JSON.stringify({ nodes }));
    else if (nodes.length === 0) console.log("No nodes: nothing has asked for capacity yet.");
    else console.log(nodeTable(nodes, Date.now()));
  });
}

async function allNodes(): Promise<readonly NodeSummary[]> {
  const nodes: NodeSummary[] = [];
  let cursor = "";
  do {
    const page = (await getJson(`/v1/nodes?limit=${PAGE_NODES}${cursor}`)) as NodeList;
    nodes.push(...page.nodes);
    cursor = page.nextCursor === undefined ? "" : `&cursor=${page.nextCursor}`;
  } while (cursor !== "");
  return nodes;
}

/** The nodes as a table for people, in the order given. */
export function nodeTable(nodes: readonly NodeSummary[], nowMs: number): string {
  const rows = nodes.map((node) => [
    node.nodeId,
    node.state,
    `${node.cloud} ${node.region}${isEmulatedMachine(node) ? " EMULATED" : ""}`,
    `${node.instanceType} ${node.purchase}`,
    gpusOf(node),
    String(node.cpuMilli / 1000),
    `${(node.memoryMiB / 1024).toFixed(1)} GiB`,
    String(node.containers),
    node.usdPerHour.toFixed(2),
    node.isolation === "process" ? "NONE" : node.isolation,
    durationOf(nowMs - node.sinceMs),
    node.faults.length === 0 ? "-" : node.faults.join("; "),
  ]);
  return columns(HEAD, rows);
}

const HEAD = [
  ...["NODE", "STATE", "WHERE", "MACHINE", "GPUS USED", "CPU", "MEMORY"],
  ...["CONTAINERS", "$/H", "ISOLATION", "FOR", "FAULTS"],
];

/** A machine of an emulated cloud; one that only declares emulated GPUs is real. */
function isEmulatedMachine({ cloud, emulated }: NodeSummary): boolean {
  return emulated && cloud !== "local";
}

function gpusOf(node: NodeSummary): string {
  if (node.gpu === undefined) return "-";
  const used = `${node.gpuUsed}/${node.gpuCount} ${node.gpu}`;
  return node.emulated ? `${used} EMULATED` : used;
}

function durationOf(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
