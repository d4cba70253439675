/**
 * The link between an agent and a server, as TCP carries it: in order and whole, late, or cut.
 *
 * A cut loses everything that is on its way, in both directions; each side learns of it by itself
 * at once or only by the other's silence. What is sent again comes from the agent: results until
 * they are acknowledged. Results may besides come twice on one link, which the protocol allows.
 */
import type { Rng } from "../../core/index.ts";
import type { AgentMessage, ServerMessage } from "../../sandbox/index.ts";
import type { AgentLine } from "../../server/agents/hub.ts";
import type { VirtualTime } from "./virtual-time.ts";

const NOTHING = new Uint8Array(0);

/** The two ends of a link. */
export interface LinkEnds {
  readonly toServer: (message: AgentMessage, body: Uint8Array) => void;
  readonly toAgent: (message: ServerMessage) => void;
  /** The server's end is closed. */
  readonly onServerEnd: () => void;
  /** The agent's end is closed. */
  readonly onAgentEnd: () => void;
}

export interface LinkModelOptions {
  readonly nodeId: string;
  readonly time: VirtualTime;
  readonly rng: Rng;
  /** The server's clock. */
  readonly serverNowMs: () => number;
  readonly ends: LinkEnds;
}

const DELAY_MS_MAX = 40;
const SLOW_MS_MAX = 3_000;

export class LinkModel implements AgentLine {
  readonly nodeId: string;
  lastSeenMs: number;
  readonly #options: LinkModelOptions;
  #isCut = false;
  #isServerOpen = true;
  #isAgentOpen = true;
  /** Nothing comes through before this. */
  stalledUntilMs = 0;
  #lastDownMs = 0;
  #lastUpMs = 0;

  constructor(options: LinkModelOptions) {
    this.#options = options;
    this.nodeId = options.nodeId;
    this.lastSeenMs = options.serverNowMs();
  }

  get isOpenForAgent(): boolean {
    return this.#isAgentOpen;
  }

  /** Nothing will come through any more, whoever knows. */
  get isBroken(): boolean {
    return this.#isCut;
  }

  send(message: ServerMessage): void {
    if (!this.#isServerOpen || this.#isCut) return;
    this.#lastDownMs = this.#arrival(this.#lastDownMs);
    this.#options.time.at(this.#lastDownMs, () => {
      if (!this.#isCut && this.#isAgentOpen) this.#options.ends.toAgent(message);
    });
  }

  acknowledge(inputIds: readonly string[]): void {
    this.send({ type: "ack", inputIds });
  }

  /** From the agent. */
  say(message: AgentMessage, body: Uint8Array = NOTHING): void {
    if (!this.#isAgentOpen || this.#isCut) return;
    const times = message.type === "results" && this.#options.rng.below(20) === 0 ? 2 : 1;
    for (let time = 0; time < times; time += 1) {
      this.#lastUpMs = this.#arrival(this.#lastUpMs);
      this.#options.time.at(this.#lastUpMs, () => {
        if (this.#isCut || !this.#isServerOpen) return;
        this.lastSeenMs = this.#options.serverNowMs();
        this.#options.ends.toServer(message, body);
      });
    }
  }

  /** The server asks for a sign of life, which comes when the agent is there. */
  ping(): void {
    if (this.#isCut || !this.#isServerOpen || !this.#isAgentOpen) return;
    if (this.stalledUntilMs > this.#options.time.nowMs()) return;
    this.lastSeenMs = this.#options.serverNowMs();
  }

  /** The line breaks; `knows` says who learns of it by itself. */
  cut(knows: { readonly server: boolean; readonly agent: boolean }): void {
    this.#isCut = true;
    if (knows.server) this.closeServer();
    if (knows.agent) this.closeAgent();
  }

  closeServer(): void {
    this.#isCut = true;
    if (!this.#isServerOpen) return;
    this.#isServerOpen = false;
    this.#options.ends.onServerEnd();
  }

  closeAgent(): void {
    this.#isCut = true;
    if (!this.#isAgentOpen) return;
    this.#isAgentOpen = false;
    this.#options.ends.onAgentEnd();
  }

  #arrival(lastMs: number): number {
    const { time, rng } = this.#options;
    const delayMs = rng.below(30) === 0 ? rng.below(SLOW_MS_MAX) : 1 + rng.below(DELAY_MS_MAX);
    return Math.max(lastMs, time.nowMs() + delayMs, this.stalledUntilMs);
  }
}
