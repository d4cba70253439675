/** What happens when node agents arrive and go: identity, registration, loss. */
import type { Clock, IdSource, Node } from "../../core/index.ts";
import { peerKeyOf, type AgentMessage } from "../../sandbox/index.ts";
import type { AgentCredentials, AgentEvents, AgentIdentity, AgentLine } from "../agents/hub.ts";
import type { EventBody } from "../../sdk/protocol/index.ts";
import {
  bearerTokenOf,
  createAuthenticator,
  createToken,
  type Authenticator,
} from "../auth/tokens.ts";
import type { EventBus } from "../services.ts";
import type { RecordStore, StoredToken } from "../store/record-store.ts";
import { judgeJoin } from "./batch-joins.ts";
import { peerUrlIn } from "./chunk-peers.ts";
import type { ContainerDesk } from "./container-desk.ts";
import type { NodeRecord, NodeTable } from "./node-table.ts";

export interface NodeDeskOptions {
  readonly store: RecordStore;
  readonly nodes: NodeTable;
  readonly containers: ContainerDesk;
  readonly events: EventBus;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** A node can be used, or used again. */
  readonly onArrived: () => void;
  /** A node is being taken back by its provider. */
  readonly onInterrupted: () => void;
  /** Known to this platform alone; the tokens of batches are made of it. */
  readonly key: Uint8Array;
  /** How long a rented machine may take to join. */
  readonly joinLifetimeMs: number;
  /** Whose agents those of rented machines are. */
  readonly workspaceId: string;
  readonly onError: (error: unknown, doing: string) => void;
}

type Hello = Extract<AgentMessage, { type: "hello" }>;

/** How long an agent's session token is good for without the node being rented anew. */
const SESSION_MS = 30 * 24 * 3_600_000;

export class NodeDesk implements AgentEvents {
  readonly #options: NodeDeskOptions;
  readonly #authenticator: Authenticator;

  constructor(options: NodeDeskOptions) {
    this.#options = options;
    this.#authenticator = createAuthenticator(options.store.tokens, options.clock);
  }

  async identify(credentials: AgentCredentials): Promise<AgentIdentity | "later" | undefined> {
    const { authorization, batch } = credentials;
    if (batch !== undefined) return this.#joinBatch({ ...credentials, batch });
    const stored = await this.#authenticator.authenticate(authorization);
    if (stored?.nodeId === undefined) return undefined;
    if (stored.kind === "join") return this.#join(stored, stored.nodeId);
    const sessionToken = bearerTokenOf(authorization);
    if (stored.kind !== "agent" || sessionToken === undefined) return undefined;
    return this.#identity(stored.nodeId, sessionToken);
  }

  async arrived(link: AgentLine, hello: Hello): Promise<boolean> {
    const record = this.#options.nodes.get(link.nodeId);
    const { resources, isolation } = hello.node;
    if (record === undefined) return false;
    const nowMs = this.#options.clock.nowMs();
    record.connected = true;
    record.lastHeardAtMs = nowMs;
    record.facts = { resources, isolation };
    record.peerUrl = peerUrlIn(hello.node.peerUrl);
    record.faults = hello.faults ?? [];
    this.#options.nodes.noteArtifacts(link.nodeId, hello.artifacts);
    await this.#noteJoined(record, nowMs);
    if (record.stored.node.cloud === "local") await this.#welcomeLocal(record, nowMs);
    await this.#options.containers.reconcile(link.nodeId, hello.containers, link);
    record.hasToldContainers = true;
    this.#options.onArrived();
    return true;
  }

  message(...[link, message, body]: Parameters<AgentEvents["message"]>): void {
    switch (message.type) {
      case "kept":
        this.#options.nodes.noteArtifact(link.nodeId, message.artifact);
        return;
      case "interruption":
        this.#interrupted(link.nodeId, message.leftMs);
        return;
      case "at-risk":
        this.#noteRisk(link.nodeId, message.agoMs);
        return;
      case "health":
        this.#noteFaults(link.nodeId, message.faults);
        return;
      default:
        this.#options.containers.handle(link, message, body);
    }
  }

  departed(link: AgentLine): void {
    const record = this.#options.nodes.get(link.nodeId);
    if (record === undefined) return;
    record.connected = false;
    record.lastHeardAtMs = this.#options.clock.nowMs();
    this.#options.containers.linkLost(link.nodeId);
  }

  /** Notes that connected agents are alive, and gives up containers of those away too long. */
  noteSilence(linkOf: (nodeId: string) => AgentLine | undefined, timeoutMs: number): void {
    const nowMs = this.#options.clock.nowMs();
    for (const record of this.#options.nodes.all()) {
      const { nodeId } = record.stored.node;
      const link = linkOf(nodeId);
      if (link !== undefined) record.lastHeardAtMs = link.lastSeenMs;
      const silentMs = record.lastHeardAtMs === undefined ? 0 : nowMs - record.lastHeardAtMs;
      if (!record.connected && silentMs > timeoutMs) this.#options.containers.nodeLost(nodeId);
    }
  }

  #noteFaults(nodeId: string, faults: readonly string[]): void {
    const record = this.#options.nodes.get(nodeId);
    if (record !== undefined) record.faults = faults;
  }

  /** Nobody rents this machine: it is healthy when its agent says so. */
  async #welcomeLocal(record: NodeRecord, nowMs: number): Promise<void> {
    const { node } = record.stored;
    if (node.state === "healthy" || record.facts === undefined) return;
    const change = { ...record.facts, state: "healthy", stateSinceMs: nowMs } as const;
    await this.#options.nodes.update(node.nodeId, change, nowMs);
    this.#options.events.publish({ nodeId: node.nodeId }, registeredEvent({ ...node, ...change }));
  }

  async #join(stored: StoredToken, nodeId: string): Promise<AgentIdentity | undefined> {
    const taken = await this.#options.store.tokens.take(stored.tokenId);
    return taken === undefined ? undefined : this.#sessionOf(nodeId, stored.workspaceId);
  }

  /** A rented machine with its batch's token: it becomes the node that the ledger says it is. */
  async #joinBatch({
    authorization,
    batch,
    machineIds,
  }: AgentCredentials & { readonly batch: string }): Promise<AgentIdentity | "later" | undefined> {
    const { nodes, clock, key, joinLifetimeMs, onError } = this.#options;
    const token = bearerTokenOf(authorization) ?? "";
    const open = nodes.all().map(({ stored }) => stored);
    const at = { key, nowMs: clock.nowMs(), lifetimeMs: joinLifetimeMs };
    const answer = judgeJoin({ token, batch, machineIds }, open, at);
    switch (answer.kind) {
      case "joins":
        return this.#sessionOf(answer.nodeId, this.#options.workspaceId);
      case "too-early":
        return "later";
      case "refused": {
        const machine = machineIds.join(", ") || "a nameless machine";
        onError(new Error(answer.reason), `refusing ${machine} of batch ${batch}`);
        return undefined;
      }
    }
  }

  /** From the first hello on, the token of the batch is used up for this machine. */
  async #noteJoined({ stored }: NodeRecord, nowMs: number): Promise<void> {
    const isRented = stored.node.offerId !== undefined;
    if (!isRented || stored.joinedAtMs !== undefined) return;
    await this.#options.nodes.put([{ ...stored, joinedAtMs: nowMs }], nowMs);
  }

  /** Its provider takes the machine back: nothing new is put on it from this moment. */
  #interrupted(nodeId: string, leftMs: number): void {
    const { nodes, clock, onInterrupted, onError } = this.#options;
    const record = nodes.get(nodeId);
    if (record === undefined) return;
    const nowMs = clock.nowMs();
    const isNews = record.reclaimAtMs === undefined;
    record.reclaimAtMs = Math.min(record.reclaimAtMs ?? Infinity, nowMs + Math.max(0, leftMs));
    const { state } = record.stored.node;
    if (!isNews || !["registered", "healthy"].includes(state)) return;
    nodes
      .update(nodeId, { state: "cordoned", stateSinceMs: nowMs }, nowMs)
      .catch((error: unknown) => onError(error, `cordoning node ${nodeId}`))
      .finally(onInterrupted);
  }

  /** Its provider may take the machine back: the pool decides what follows, at once. */
  #noteRisk(nodeId: string, agoMs: number): void {
    const { nodes, clock, onInterrupted } = this.#options;
    const record = nodes.get(nodeId);
    if (record === undefined) return;
    const isNews = record.riskSinceMs === undefined;
    const sinceMs = clock.nowMs() - Math.max(0, agoMs);
    record.riskSinceMs = Math.min(record.riskSinceMs ?? Infinity, sinceMs);
    if (isNews) onInterrupted();
  }

  async #sessionOf(nodeId: string, workspaceId: string): Promise<AgentIdentity> {
    const { store, clock, ids } = this.#options;
    const { token } = await createToken(
      store.tokens,
      {
        kind: "agent",
        name: `agent of ${nodeId}`,
        workspaceId,
        nodeId,
        expiresAtMs: clock.nowMs() + SESSION_MS,
      },
      { clock, ids },
    );
    return this.#identity(nodeId, token);
  }

  #identity(nodeId: string, sessionToken: string): AgentIdentity {
    return { nodeId, sessionToken, peerKey: peerKeyOf(this.#options.key, nodeId) };
  }
}

/** What is told when a node can take containers. */
export function registeredEvent(node: Node): EventBody {
  const gpus =
    node.gpuType === undefined
      ? "no GPU"
      : `${node.resources.gpuCount} ${node.emulated ? "emulated " : ""}${node.gpuType}`;
  const cores = node.resources.cpuMilli / 1000;
  return {
    kind: "node.registered",
    description: `${node.cloud} ${node.region} ${node.instanceType}: ${gpus}, ${cores} cores`,
    emulated: node.emulated,
    isolation: node.isolation,
  };
}
