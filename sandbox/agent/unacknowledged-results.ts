/** Results of which the server has not said that they are recorded: kept to be sent again. */
import type { AgentMessage, AgentResult } from "./link.ts";

type ResultsMessage = Extract<AgentMessage, { type: "results" }>;

interface Unacknowledged {
  readonly containerId: string;
  readonly result: AgentResult;
  readonly payload: Uint8Array;
}

const NOTHING = new Uint8Array(0);

export class UnacknowledgedResults {
  readonly #byInput = new Map<string, Unacknowledged>();

  add(containerId: string, results: readonly AgentResult[], payloads: readonly Uint8Array[]): void {
    for (const [position, result] of results.entries()) {
      const payload = payloads[position] ?? NOTHING;
      this.#byInput.set(result.inputId, { containerId, result, payload });
    }
  }

  /** The result of this input is recorded. */
  forget(inputId: string): void {
    this.#byInput.delete(inputId);
  }

  /** The container whose result of this input is kept. */
  containerOf(inputId: string): string | undefined {
    return this.#byInput.get(inputId)?.containerId;
  }

  /** Inputs of a container whose results are kept. */
  inputIdsOf(containerId: string): readonly string[] {
    return [...this.#byInput]
      .filter(([, one]) => one.containerId === containerId)
      .map(([inputId]) => inputId);
  }

  /** Sends each once more. */
  resend(send: (message: ResultsMessage, payloads: readonly Uint8Array[]) => void): void {
    for (const { containerId, result, payload } of this.#byInput.values()) {
      send({ type: "results", containerId, results: [result] }, [payload]);
    }
  }
}
