/** The fleet as people read it. */
import { PlatformError, usdFromMicroUsd, type Clock, type Node } from "../../core/index.ts";
import type {
  ContainerSummary,
  NodeSummary,
  PlanSummary,
  PlatformStatus,
} from "../../sdk/protocol/index.ts";
import type { FunctionTable } from "../calls/function-table.ts";
import type { FleetService } from "../services.ts";
import type { RecordStore } from "../store/record-store.ts";
import type { ContainerRecord, ContainerTable } from "./container-table.ts";
import type { NodeRecord, NodeTable } from "./node-table.ts";

export interface FleetViewsOptions {
  readonly store: RecordStore;
  readonly functions: FunctionTable;
  readonly containers: ContainerTable;
  readonly nodes: NodeTable;
  readonly clock: Clock;
  readonly version: string;
  readonly startedAtMs: number;
  readonly stop: (container: ContainerRecord, reason: string) => void;
  readonly latestPlan: () => PlanSummary | undefined;
  /** What the pool found wrong with nodes, by node id. */
  readonly unfit: () => ReadonlyMap<string, string>;
}

export function createFleetService(options: FleetViewsOptions): FleetService {
  const { containers, functions, nodes, store, clock } = options;
  return {
    containers: async (who) =>
      Promise.resolve(
        containers
          .all()
          .filter(({ live, nodeId }) => live.workspaceId === who.workspaceId && nodeId)
          .map((container) => containerSummaryOf(container, nodes)),
      ),
    stopContainer: async (who, containerId) => {
      const container = containers.get(containerId);
      if (container?.live.workspaceId !== who.workspaceId) {
        throw new PlatformError(`there is no container ${containerId}`, {
          code: "not_found",
          retryable: false,
        });
      }
      options.stop(container, "stopped on request");
      return Promise.resolve();
    },
    nodes: async () => {
      const unfit = options.unfit();
      return Promise.resolve(
        nodes.all().map((record) => ({
          ...nodeSummaryOf(record, containers),
          faults: faultsOf(record, unfit),
        })),
      );
    },
    plan: async () => Promise.resolve(options.latestPlan()),
    status: async () => statusOf(options, await store.nodes.totals(clock.nowMs())),
    functionLoad: (functionId) => ({
      backlog: functions.peek(functionId)?.open.openCount ?? 0,
      containers: containers.ofFunction(functionId).filter(({ nodeId }) => nodeId !== undefined)
        .length,
    }),
    ownerOf: (nodeId, containerId) => {
      const container = containers.get(containerId);
      if (container?.nodeId === nodeId) return container.live;
      if (nodes.get(nodeId)?.hasToldContainers === false) throw notToldYet(nodeId);
      return undefined;
    },
  };
}

/** The server was started anew, and a container asks it something before its agent is back. */
function notToldYet(nodeId: string): PlatformError {
  return new PlatformError(`node ${nodeId} has not said yet which containers it has; try again`, {
    code: "unavailable",
    retryable: true,
  });
}

function statusOf(
  options: FleetViewsOptions,
  totals: { gpuMsPaid: number; gpuMsUsed: number; costMicroUsd: number },
): PlatformStatus {
  const running = options.functions.all().reduce((sum, live) => sum + live.open.callCount, 0);
  return {
    version: options.version,
    startedAtMs: options.startedAtMs,
    nodes: options.nodes.all().length,
    containers: options.containers.all().filter(({ nodeId }) => nodeId !== undefined).length,
    callsRunning: running,
    ...totals,
  };
}

function containerSummaryOf(container: ContainerRecord, nodes: NodeTable): ContainerSummary {
  const { live, containerId, nodeId = "", startedAtMs, requestedAtMs, inputsDone } = container;
  const node = nodes.get(nodeId)?.stored.node;
  const gpu = gpuOf(container, node);
  return {
    containerId,
    app: live.app,
    function: live.name,
    functionId: live.functionId,
    nodeId,
    state: containerStateOf(container),
    ...(gpu === undefined ? {} : { gpu }),
    emulated: node?.emulated ?? false,
    isolation: node?.isolation ?? "gvisor",
    startedAtMs: startedAtMs ?? requestedAtMs,
    inputsDone,
  };
}

function gpuOf({ live }: ContainerRecord, node: Node | undefined): string | undefined {
  const count = live.needs.gpu?.count;
  return count === undefined || node?.gpuType === undefined
    ? undefined
    : `${node.gpuType}:${count}`;
}

function containerStateOf(container: ContainerRecord): ContainerSummary["state"] {
  if (container.state === "stopping") return "stopping";
  if (container.state !== "ready") return "starting";
  return container.idleSinceMs === undefined ? "busy" : "idle";
}

/** What its agent says now, and what only the pool can know, such as GPUs that are missing. */
function faultsOf(
  { stored, faults }: NodeRecord,
  unfit: ReadonlyMap<string, string>,
): readonly string[] {
  const found = unfit.get(stored.node.nodeId);
  return found === undefined || faults.includes(found) ? faults : [...faults, found];
}

function nodeSummaryOf(
  record: NodeRecord,
  containers: ContainerTable,
): Omit<NodeSummary, "faults"> {
  const { node } = record.stored;
  const own = containers.ofNode(node.nodeId);
  return {
    nodeId: node.nodeId,
    state: node.state,
    cloud: node.cloud,
    region: node.region,
    instanceType: node.instanceType,
    purchase: node.purchase,
    ...(node.gpuType === undefined ? {} : { gpu: node.gpuType }),
    gpuCount: node.resources.gpuCount,
    gpuUsed: own.reduce((sum, { live }) => sum + live.gpuCount, 0),
    cpuMilli: node.resources.cpuMilli,
    memoryMiB: node.resources.memoryMiB,
    containers: own.length,
    usdPerHour: usdFromMicroUsd(node.priceMicroUsdPerHour),
    emulated: node.emulated,
    isolation: node.isolation,
    sinceMs: node.stateSinceMs,
  };
}
