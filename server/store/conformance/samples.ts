/** Records for the conformance suite, each valid as it is. */
import type { Node, Offer } from "../../../core/index.ts";
import type {
  AcceptInputs,
  NewDeployment,
  NewResult,
  RecordStore,
  StoredNode,
  StoredPayload,
  StoredToken,
} from "../record-store.ts";

/** What the tests do with the bench of the present test. */
export interface OpenBench {
  readonly store: () => RecordStore;
  /** Closes the store and opens the same database again. */
  readonly reopen: () => Promise<RecordStore>;
}

/** Indexes that no call can have. */
export const IMPOSSIBLE_INDEXES = [-1, 0.5, 2 ** 24, Number.NaN, Number.MAX_SAFE_INTEGER] as const;

export function aDeployment(appId: string, changes: Partial<NewDeployment> = {}): NewDeployment {
  const functions = [
    { functionId: `${appId}.embed`, name: "embed", spec: { gpu: "H100", cpu: 2 } },
    { functionId: `${appId}.index`, name: "index", spec: { env: { MODE: "ünï" } } },
  ] as const;
  const names = { workspaceId: "ws_1", app: "search", mode: "deployed" } as const;
  return { appId, ...names, codeSha256: "c0de", functions, createdAtMs: 1_000, ...changes };
}

export function aToken(tokenId: string, changes: Partial<StoredToken> = {}): StoredToken {
  const sha256 = `sha-of-${tokenId}`;
  const named = { name: "laptop", kind: "user" } as const;
  return { tokenId, sha256, workspaceId: "ws_1", ...named, createdAtMs: 1_000, ...changes };
}

export function inline(...bytes: readonly number[]): StoredPayload {
  return { kind: "inline", bytes: Uint8Array.from(bytes) };
}

/** The inline payloads `[from], [from + 1], ...`. */
export function payloads(from: number, count: number): readonly StoredPayload[] {
  return Array.from({ length: count }, (_, position) => inline((from + position) % 256));
}

/** Inputs `startIndex` to `startIndex + count - 1` of a map of `fn_1`. */
export function inputsOf(
  callId: string,
  startIndex: number,
  count: number,
  changes: Partial<AcceptInputs> = {},
): AcceptInputs {
  const call = {
    callId,
    workspaceId: "ws_1",
    functionId: "fn_1",
    appId: "ap_1",
    kind: "map",
    createdAtMs: 1_000,
  } as const;
  return {
    call,
    mode: startIndex === 0 ? "create" : "append",
    startIndex,
    payloads: payloads(startIndex, count),
    final: false,
    acceptedAtMs: 1_000,
    ...changes,
  };
}

export function aResult(
  callId: string,
  index: number,
  changes: Partial<NewResult> = {},
): NewResult {
  return { callId, index, outcome: "succeeded", runMs: 1.5, finishedAtMs: 2_000, ...changes };
}

const NODE: Node = {
  nodeId: "no_1",
  offerId: "aws/us-east-1/*/p5.4xlarge/spot",
  cloud: "aws",
  region: "us-east-1",
  instanceType: "p5.4xlarge",
  purchase: "spot",
  gpuType: "H100",
  resources: { gpuCount: 2, cpuMilli: 16_000, memoryMiB: 65_536 },
  priceMicroUsdPerHour: 3_600_000,
  state: "requested",
  stateSinceMs: 1_000,
  emulated: false,
  isolation: "gvisor",
};

/** The offer that the sample node was rented by. */
export function anOffer(): Offer {
  const { cloud, region, instanceType, purchase, resources, priceMicroUsdPerHour } = NODE;
  return {
    offerId: "aws/us-east-1/*/p5.4xlarge/spot",
    ...{ cloud, region, instanceType, purchase, gpuType: "H100", resources },
    ...{ priceMicroUsdPerHour, emulated: false },
    reclaimFractionPerHour: 0.01,
    bootMs: 60_000,
    nodeCountMax: 10,
    quotaGroups: ["aws/us-east-1/P/spot"],
  };
}

/** A node of two GPUs at 1 micro-dollar a millisecond. */
export function aNode(
  nodeId: string,
  changes: Partial<StoredNode> = {},
  nodeChanges: Partial<Node> = {},
): StoredNode {
  const node = { ...NODE, nodeId, ...nodeChanges };
  const rent = { clientToken: `token-${nodeId}`, reason: "two H100 are wanted" };
  return { node, ...rent, requestedAtMs: 1_000, gpuMsUsed: 0, ...changes };
}
