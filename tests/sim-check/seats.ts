/**
 * Agents on the machines of the cloud: each joins, keeps a link to whatever server there is, and
 * is gone with its machine.
 */
import type { Rng } from "../../core/index.ts";
import type { ProviderNode } from "../../providers/index.ts";
import { batchTokenOf } from "../../server/fleet/batch-joins.ts";
import type { NodeRecord } from "../../server/fleet/node-table.ts";
import { AgentModel, type AgentModelOptions } from "./agent-model.ts";
import type { CloudModel } from "./cloud-model.ts";
import { LinkModel } from "./link-model.ts";
import { OFFERS, SIM_POLICY } from "./market-model.ts";
import type { RunRecord } from "./record.ts";
import { JOIN_KEY, type ServerLife } from "./server-life.ts";
import type { VirtualTime } from "./virtual-time.ts";

const REJECTIONS_MAX = 5;

/** An agent, its machine, and how it stands with the server. */
interface Seat {
  readonly agent: AgentModel;
  readonly machine: ProviderNode;
  session: string | undefined;
  rejections: number;
  isConnecting: boolean;
  isAlive: boolean;
}

export interface SeatsOptions {
  readonly time: VirtualTime;
  readonly rng: Rng;
  readonly record: RunRecord;
  readonly cloud: CloudModel;
  /** The server; undefined while it is down. */
  readonly server: () => ServerLife | undefined;
  readonly workOf: AgentModelOptions["workOf"];
}

export class Seats {
  readonly #options: SeatsOptions;
  readonly #seats = new Map<string, Seat>();
  readonly #reclaimed = new Set<string>();
  #runs = 0;

  constructor(options: SeatsOptions) {
    this.#options = options;
  }

  get agents(): readonly AgentModel[] {
    return [...this.#seats.values()].map(({ agent }) => agent);
  }

  /** Whether the machine of a node runs. */
  isAlive(nodeId: string): boolean {
    return this.#seats.get(nodeId)?.isAlive === true;
  }

  get #server(): ServerLife | undefined {
    return this.#options.server();
  }

  /** A machine goes when nothing runs on it, unless it had its time to drain or is lost. */
  checkRelease(ids: readonly string[]): void {
    for (const { agent, machine } of this.#seats.values()) {
      if (!ids.includes(machine.providerNodeId) || !agent.isBusy) continue;
      const record = this.#server?.nodes.get(agent.nodeId);
      if (record === undefined || this.#mayGo(record)) continue;
      if (this.#reclaimed.has(machine.providerNodeId)) continue;
      this.#options.record.broken("a node is drained before it is released", agent.nodeId);
    }
  }

  #mayGo({ stored: { node }, lastHeardAtMs = 0, reclaimAtMs }: NodeRecord): boolean {
    const nowMs = this.#server?.nowMs ?? 0;
    const { heartbeatTimeoutMs, drainTimeoutMs } = SIM_POLICY.pool;
    if (reclaimAtMs !== undefined || nowMs - lastHeardAtMs >= heartbeatTimeoutMs) return true;
    return node.state === "draining" && nowMs - node.stateSinceMs >= drainTimeoutMs;
  }

  /** A machine that runs gets an agent; one that is gone loses it. */
  async look(machines: readonly ProviderNode[]): Promise<void> {
    for (const { providerNodeId, deadlineMs } of await this.#options.cloud.truth.interruptions()) {
      this.#reclaimed.add(providerNodeId);
      for (const { machine, agent } of this.#seats.values()) {
        const isTold = this.#options.rng.below(4) > 0;
        if (machine.providerNodeId === providerNodeId && isTold) agent.interrupted(deadlineMs);
      }
    }
    const running = new Map(
      machines
        .filter(({ state }) => state === "running")
        .map((machine) => [machine.providerNodeId, machine]),
    );
    for (const [nodeId, seat] of this.#seats) {
      if (running.has(seat.machine.providerNodeId)) continue;
      seat.isAlive = false;
      this.#seats.delete(nodeId);
      seat.agent.crash();
      this.#options.record.event(`machine ${seat.machine.providerNodeId} is gone`);
    }
    for (const machine of running.values()) this.#seat(machine);
  }

  #seat(machine: ProviderNode): void {
    const { nodeId, providerNodeId, clientToken = "" } = machine;
    if (nodeId === undefined || nodeId.startsWith("lost-") || this.#seats.has(nodeId)) return;
    const gpuCount = this.#offerOf(machine)?.resources.gpuCount ?? 2;
    const resources = { gpuCount, cpuMilli: 8_000 * gpuCount, memoryMiB: 65_536 * gpuCount };
    const agent = new AgentModel({
      nodeId,
      resources,
      time: this.#options.time,
      rng: this.#options.rng.fork(`agent ${providerNodeId}`),
      workOf: this.#options.workOf,
      nextRun: () => (this.#runs += 1),
      onDismissed: (reason) => {
        this.#options.record.event(`agent of ${nodeId} is sent home: ${reason}`);
        seat.rejections = REJECTIONS_MAX;
      },
    });
    const seat: Seat = {
      agent,
      machine,
      session: undefined,
      rejections: 0,
      isConnecting: false,
      isAlive: true,
    };
    this.#seats.set(nodeId, seat);
    this.#options.record.event(`machine ${providerNodeId} runs as ${nodeId} of ${clientToken}`);
    this.#connectSoon(seat, 500);
  }

  #offerOf(machine: ProviderNode) {
    const rented = this.#server?.nodes.get(machine.nodeId ?? "")?.stored.node.offerId;
    return OFFERS.find(({ offerId }) => offerId === rented);
  }

  #connectSoon(seat: Seat, withinMs: number): void {
    if (seat.isConnecting || !seat.isAlive || seat.rejections >= REJECTIONS_MAX) return;
    seat.isConnecting = true;
    const rng = this.#options.rng.fork(
      `connect ${seat.agent.nodeId} ${this.#options.time.nowMs()}`,
    );
    this.#options.time.after(50 + rng.below(withinMs), () => {
      seat.isConnecting = false;
      this.#connect(seat);
    });
  }

  #connect(seat: Seat): void {
    const server = this.#server;
    if (!seat.isAlive || seat.agent.link?.isOpenForAgent === true) return;
    if (server?.isOpen !== true) {
      this.#connectSoon(seat, 2_000);
      return;
    }
    const { clientToken = "", providerNodeId } = seat.machine;
    const token = seat.session ?? batchTokenOf(clientToken, JOIN_KEY);
    const batch = seat.session === undefined ? { batch: clientToken } : {};
    server.nodeDesk
      .identify({ authorization: `Bearer ${token}`, machineIds: [providerNodeId], ...batch })
      .then((identity) => {
        const isHere = this.#server === server && seat.isAlive;
        if (isHere && identity !== undefined && identity !== "later") {
          seat.rejections = 0;
          seat.session = identity.sessionToken;
          this.#welcome(seat, server);
          return;
        }
        if (isHere && identity === undefined) seat.rejections += 1;
        this.#connectSoon(seat, 2_000);
      })
      .catch((error: unknown) => {
        this.#options.record.event(`identifying ${seat.agent.nodeId}: ${String(error)}`);
        this.#connectSoon(seat, 2_000);
      });
  }

  #welcome(seat: Seat, server: ServerLife): void {
    const { agent } = seat;
    const { nodeId } = agent;
    let greeted: Promise<boolean> | undefined;
    const link: LinkModel = new LinkModel({
      nodeId,
      time: this.#options.time,
      rng: this.#options.rng.fork(`link ${nodeId} ${this.#options.time.nowMs()}`),
      serverNowMs: () => this.#server?.nowMs ?? this.#options.time.nowMs(),
      ends: {
        toAgent: (message) => agent.receive(message),
        toServer: (message, body) => {
          if (this.#server !== server) return;
          if (message.type === "hello") {
            greeted = server.nodeDesk.arrived(link, message);
            greeted
              .then((isAccepted) => {
                if (!isAccepted) link.send({ type: "goodbye", reason: "unknown node" });
              })
              .catch((error: unknown) => {
                this.#options.record.event(`greeting ${nodeId}: ${String(error)}`);
                link.cut({ server: true, agent: true });
              });
            return;
          }
          void greeted?.then(
            (isAccepted) => {
              if (isAccepted) server.nodeDesk.message(link, message, body);
            },
            () => undefined,
          );
        },
        onServerEnd: () => server.departed(link),
        onAgentEnd: () => this.#connectSoon(seat, 2_000),
      },
    });
    server.connected(link);
    agent.connected(link);
    this.#watchSilence(link);
  }

  /** An agent that hears nothing for long gives its link up. */
  #watchSilence(link: LinkModel): void {
    this.#options.time.after(10_000, () => {
      if (!link.isOpenForAgent) return;
      if (link.isBroken) link.closeAgent();
      else this.#watchSilence(link);
    });
  }
}
