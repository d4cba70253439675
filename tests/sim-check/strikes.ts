/** Brings misfortune about: what goes wrong at a tick, and how long it lasts. */
import type { Rng } from "../../core/index.ts";
import type { ProviderNode } from "../../providers/index.ts";
import type { AgentModel } from "./agent-model.ts";
import type { CloudModel } from "./cloud-model.ts";
import type { Lifetime } from "./lifetime.ts";
import type { LinkModel } from "./link-model.ts";
import { OFFERS } from "./market-model.ts";
import { JUMP_MS, type Misfortune } from "./misfortune.ts";
import type { QueueModel } from "./queue-model.ts";
import type { RunRecord } from "./record.ts";
import { CLUSTER, type ServerLife } from "./server-life.ts";
import type { Users } from "./users.ts";
import type { VirtualTime } from "./virtual-time.ts";

export interface StrikesOptions {
  readonly fate: Misfortune;
  readonly time: VirtualTime;
  readonly record: RunRecord;
  readonly cloud: CloudModel;
  readonly queue: QueueModel;
  readonly users: Users;
  readonly life: () => Lifetime | undefined;
  readonly server: () => ServerLife | undefined;
  readonly links: () => readonly LinkModel[];
  readonly agents: () => readonly AgentModel[];
  readonly machines: () => readonly ProviderNode[];
}

export class Strikes {
  readonly #options: StrikesOptions;
  /** How far the clock of the server's machine is off. */
  jumpMs = 0;
  hasJumped = false;
  queueAwaySinceMs = -Infinity;
  isStoreAway = false;
  #strays = 0;

  constructor(options: StrikesOptions) {
    this.#options = options;
  }

  /** Nothing goes wrong any more. */
  end(): void {
    const { cloud, queue, record } = this.#options;
    cloud.isHonest = true;
    cloud.isOut = false;
    queue.isAway = false;
    this.isStoreAway = false;
    for (const { offerId, nodeCountMax } of OFFERS) cloud.truth.setCapacity(offerId, nodeCountMax);
    record.event("calm");
  }

  /** What goes wrong at this tick. */
  strike(): void {
    const { fate } = this.#options;
    if (fate.strikes("server crash")) {
      const rng = fate.draw("server crash");
      const when = rng.below(2) === 0 ? "before" : "after";
      this.#options.life()?.crashAt({ step: rng.below(60), when });
    }
    if (fate.strikes("agent crash")) this.#crashAgent();
    if (fate.strikes("link cut")) {
      const rng = fate.draw("link cut");
      const knows = { server: rng.below(2) === 0, agent: rng.below(2) === 0 };
      this.#anyLink(rng)?.cut(knows);
      this.#options.record.event(
        `a link is cut, server knows: ${knows.server}, agent: ${knows.agent}`,
      );
    }
    if (fate.strikes("link stall")) {
      const link = this.#anyLink(fate.draw("link stall"));
      const forMs = fate.draw("link stall").below(25_000);
      if (link !== undefined) link.stalledUntilMs = this.#options.time.nowMs() + forMs;
      this.#options.record.event(`a link stalls for ${forMs} ms`);
    }
    if (fate.strikes("clock jump")) {
      this.hasJumped = true;
      this.jumpMs = (fate.draw("clock jump").below(3) - 1) * JUMP_MS;
      this.#options.record.event(`the clock is off by ${this.jumpMs} ms`);
      this.#options.record.count("clock jumps");
    }
    this.#strikeMarket();
    this.#strikeStores();
    if (fate.strikes("cancel")) this.#options.users.cancel();
    if (fate.strikes("operator")) this.#drain();
  }

  #strikeMarket(): void {
    const { fate } = this.#options;
    if (fate.strikes("cloud outage")) {
      this.#options.cloud.isOut = true;
      this.#options.record.event("the cloud does not answer");
      this.#options.time.after(
        fate.draw("cloud outage").below(30_000),
        () => (this.#options.cloud.isOut = false),
      );
    }
    if (fate.strikes("shortage")) {
      const rng = fate.draw("shortage");
      for (const { offerId } of OFFERS)
        this.#options.cloud.truth.setCapacity(offerId, rng.below(4));
      this.#options.record.event("the market is short");
    }
    if (fate.strikes("reclaim storm")) {
      const rng = fate.draw("reclaim storm");
      for (const { providerNodeId, state } of this.#options.machines()) {
        if (state === "terminated" || rng.below(2) === 0) continue;
        this.#options.cloud.truth.reclaim(providerNodeId);
        this.#options.record.event(`reclaim ${providerNodeId}`);
        this.#options.record.count("reclaims");
      }
    }
    if (fate.strikes("stray machine")) {
      this.#strays += 1;
      const nodeId = `lost-${this.#strays}`;
      this.#options.record.event(`a process that is gone rents ${nodeId}`);
      const [offer] = OFFERS;
      if (offer === undefined) return;
      const tags = { "flotilla:cluster": CLUSTER };
      const rent = { offers: [offer], nodeIds: [nodeId], clientToken: nodeId, userData: "", tags };
      void this.#options.cloud.truth.rent(rent);
    }
  }

  #strikeStores(): void {
    const { fate } = this.#options;
    if (fate.strikes("queue away")) {
      this.#options.queue.isAway = true;
      this.queueAwaySinceMs = this.#options.time.nowMs();
      this.#options.record.event("Redis is out of reach");
      this.#options.time.after(
        fate.draw("queue away").below(20_000),
        () => (this.#options.queue.isAway = false),
      );
    }
    if (fate.strikes("queue lost")) {
      this.#options.queue.lose();
      this.#options.record.event("Redis has lost everything");
      this.#options.record.count("queue losses");
    }
    if (fate.strikes("store away")) {
      this.isStoreAway = true;
      this.#options.record.event("the record store is away");
      this.#options.time.after(
        fate.draw("store away").below(8_000),
        () => (this.isStoreAway = false),
      );
    }
  }

  #crashAgent(): void {
    const { fate, record, agents } = this.#options;
    const all = agents();
    const agent = all[fate.draw("agent crash").below(Math.max(1, all.length))];
    if (agent === undefined) return;
    record.event(`agent of ${agent.nodeId} dies`);
    record.count("agent deaths");
    agent.crash();
  }

  #drain(): void {
    const { fate, agents, server, record } = this.#options;
    const all = agents();
    const agent = all[fate.draw("operator").below(Math.max(1, all.length))];
    if (agent === undefined) return;
    record.event(`an operator drains ${agent.nodeId}`);
    record.count("drains");
    server()
      ?.drain(agent.nodeId)
      .catch((error: unknown) => {
        record.event(`draining ${agent.nodeId}: ${String(error)}`);
      });
  }

  #anyLink(rng: Rng): LinkModel | undefined {
    const links = this.#options.links();
    return links[rng.below(Math.max(1, links.length))];
  }
}
