/** What a dispatcher needs of the rest of the server, and what it is told of containers. */
import type { InputRef } from "../store/record-store.ts";
import type { InputRange } from "./function-queue.ts";
import type { LocalInput } from "./input.ts";
import type { Settlement } from "./settlement.ts";

/** What the dispatcher needs of the rest of the server. */
export interface DispatcherPort {
  /** Puts inputs on the link of a container; false when its node is not connected. */
  sendInputs(containerId: string, inputs: readonly LocalInput[]): boolean;
  /** Asks a container to give back inputs that have not begun, or to end for those that have. */
  takeBack(containerId: string, inputIds: readonly string[], abortRunning: boolean): void;
  /** Payloads and attempts of a range's inputs that still lack a result. */
  loadOpen(range: InputRange): Promise<readonly Omit<LocalInput, "lease" | "inputId">[]>;
  noteAttempts(inputs: readonly InputRef[], containerId: string): void;
  /** The platform itself ended the attempts of these inputs in a container. */
  excuseAttempts(inputs: readonly InputRef[], containerId: string): void;
  /** The latest attempts of these inputs failed, and they are tried again. */
  noteFailures(inputs: readonly InputRef[]): void;
  /** Records results durably; resolves when they are, retrying as long as it must. */
  record(settlements: readonly Settlement[]): Promise<void>;
  /** Something changed that the autoscaler should look at. */
  onLoadChanged(): void;
  onError(error: unknown, doing: string): void;
  nowMs(): number;
}

/**
 * How a container came to be gone: the platform ended it; it was lost with its node or agent; or
 * it died by itself, and one of its inputs may have done it.
 */
export type ContainerEnd = "stopped" | "lost" | "died";
