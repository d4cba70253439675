/**
 * Lines of containers on their way from agents to the stream of events.
 *
 * An agent keeps its lines until it is told that they are in the stream, and sends those of which
 * it was not told again when its link was broken. What this server has published already is
 * passed over then; what another one has, readers pass over by its number.
 */
import type { AgentMessage } from "../../sandbox/index.ts";
import type { NodeLink } from "../agents/hub.ts";
import type { FunctionTable } from "../calls/function-table.ts";
import type { EventBus } from "../services.ts";
import { subjectOf, type ContainerTable } from "./container-table.ts";

type LogsMessage = Extract<AgentMessage, { type: "logs" }>;
type Subject = Parameters<EventBus["publish"]>[0];

/** Containers whose last line is known; of more, the one not heard of for longest is forgotten. */
const CONTAINERS_MAX = 10_000;

export interface ContainerLinesOptions {
  readonly containers: Pick<ContainerTable, "get">;
  readonly functions: Pick<FunctionTable, "get">;
  readonly events: Pick<EventBus, "publish" | "written">;
  readonly onError: (error: unknown, doing: string) => void;
}

export class ContainerLines {
  readonly #options: ContainerLinesOptions;
  readonly #lastOf = new Map<string, number>();
  /** Lines of containers that are gone wait for the names of their functions, one by one. */
  #ofGone = Promise.resolve();

  constructor(options: ContainerLinesOptions) {
    this.#options = options;
  }

  /** Publishes lines, and tells their agent once they are in the stream. */
  take(link: NodeLink, message: LogsMessage): void {
    const container = this.#options.containers.get(message.containerId);
    if (container !== undefined) {
      this.#publish(link, message, subjectOf(container));
      return;
    }
    // It ended while its node was not connected.
    this.#ofGone = this.#ofGone
      .then(() => this.#takeOfGone(link, message))
      .catch((error: unknown) =>
        this.#options.onError(error, `taking lines of container ${message.containerId}`),
      );
  }

  async #takeOfGone(link: NodeLink, message: LogsMessage): Promise<void> {
    const { containerId, functionId } = message;
    const live = await this.#options.functions.get(functionId);
    if (live === undefined) this.#tell(link, message);
    else this.#publish(link, message, { appId: live.appId, functionId, containerId });
  }

  #publish(link: NodeLink, message: LogsMessage, subject: Subject): void {
    const { containerId, lines } = message;
    const last = this.#lastOf.get(containerId) ?? 0;
    for (const { stream, text, sequence, inputId } of lines) {
      if (sequence <= last) continue;
      const callId = inputId?.slice(0, inputId.lastIndexOf("."));
      this.#options.events.publish(
        { ...subject, ...(callId === undefined ? {} : { callId }) },
        { kind: "log", stream, text, sequence },
      );
    }
    this.#note(containerId, Math.max(last, lines.at(-1)?.sequence ?? 0));
    void this.#options.events.written().then(() => this.#tell(link, message));
  }

  #tell(link: NodeLink, { containerId, lines }: LogsMessage): void {
    const sequence = lines.at(-1)?.sequence;
    if (sequence !== undefined) link.send({ type: "logged", containerId, sequence });
  }

  #note(containerId: string, sequence: number): void {
    this.#lastOf.delete(containerId);
    this.#lastOf.set(containerId, sequence);
    const [oldest] = this.#lastOf.keys();
    if (this.#lastOf.size > CONTAINERS_MAX && oldest !== undefined) this.#lastOf.delete(oldest);
  }
}
