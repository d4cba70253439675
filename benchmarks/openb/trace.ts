/** Reads a trace in the layout of the openb files: nodes, pods, and the orders pods arrive in. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { GPU_TYPES, type ContainerNeeds, type GpuType, type Node } from "../../core/index.ts";

/** One pod of a trace. */
export interface Pod {
  readonly needs: ContainerNeeds;
  /** What it asks for, in thousandths of a GPU. */
  readonly gpuMilli: number;
  /** Whether it names the GPU models it accepts. */
  readonly isSpecific: boolean;
  /** How long it ran, in seconds; 0 when the trace does not say. */
  readonly seconds: number;
}

/** One sequence of arrivals. */
export interface ArrivalOrder {
  readonly seed: number;
  /** Indexes into the pods, repeats included. */
  readonly order: readonly number[];
  /** Rank of each node when scores tie. */
  readonly nodeRanks?: readonly number[];
}

export interface Trace {
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly orders: readonly ArrivalOrder[];
}

export interface TraceFiles {
  readonly nodes: string;
  readonly pods: string;
  readonly orders: string;
}

/**
 * Reads the three files of one trace. GPU models get the names of the platform's GPU types in
 * the order in which nodes show them; they stand for nothing but being different.
 */
export function readTrace(files: TraceFiles): Trace {
  const models: string[] = [];
  const rows = readCsv(files.nodes);
  for (const { model = "" } of rows) if (!models.includes(model)) models.push(model);
  const nodes = rows.map((row) => nodeOf(row, models));
  const pods = readCsv(files.pods).map((row) => podOf(row, models));
  return { nodes, pods, orders: readOrders(files.orders) };
}

type Row = Readonly<Record<string, string>>;

function readCsv(path: string): readonly Row[] {
  const [header = "", ...lines] = readFileSync(path, "utf8").trim().split(/\r?\n/);
  const names = header.split(",");
  return lines.map((line) => {
    const cells = line.split(",");
    return Object.fromEntries(names.map((name, column) => [name, cells[column] ?? ""]));
  });
}

function readOrders(path: string): readonly ArrivalOrder[] {
  const bytes = readFileSync(path);
  const text = (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
  return text
    .trim()
    .split("\n")
    .map((line) => {
      const { seed, order, node_perm } = JSON.parse(line) as {
        seed: number;
        order: number[];
        node_perm?: number[];
      };
      return { seed, order, ...(node_perm === undefined ? {} : { nodeRanks: node_perm }) };
    });
}

function nodeOf(row: Row, models: readonly string[]): Node {
  return {
    nodeId: row["sn"] ?? "",
    cloud: "fake",
    region: "openb",
    instanceType: row["model"] ?? "",
    purchase: "on-demand",
    gpuType: gpuTypeOf(row["model"] ?? "", models),
    resources: {
      gpuCount: Number(row["gpu"]),
      cpuMilli: Number(row["cpu_milli"]),
      memoryMiB: Number(row["memory_mib"]),
    },
    priceMicroUsdPerHour: 0,
    state: "healthy",
    stateSinceMs: 0,
    emulated: true,
    isolation: "process",
  };
}

function podOf(row: Row, models: readonly string[]): Pod {
  const count = Number(row["num_gpu"]);
  const milli = count === 0 ? 0 : Number(row["gpu_milli"]);
  const spec = row["gpu_spec"] ?? "";
  const wanted = spec === "" ? models : spec.split("|").filter((model) => models.includes(model));
  const types = [...new Set(wanted)].map((model) => gpuTypeOf(model, models));
  const gpuCount = count === 1 ? milli / 1_000 : count;
  return {
    needs: {
      cpuMilli: Number(row["cpu_milli"]),
      memoryMiB: Number(row["memory_mib"]),
      preemptible: true,
      ...(count > 0 ? { gpu: { types, count: gpuCount, equallyWanted: true } } : {}),
    },
    gpuMilli: count * milli,
    isSpecific: spec !== "",
    seconds: Math.max(0, Number(row["deletion_time"] ?? 0) - Number(row["creation_time"] ?? 0)),
  };
}

function gpuTypeOf(model: string, models: readonly string[]): GpuType {
  const type = GPU_TYPES[models.indexOf(model)];
  if (type === undefined) throw new Error(`more GPU models than the platform has names: ${model}`);
  return type;
}
