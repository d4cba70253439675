/** What a container on this node is made with, and where it reports. */
import type { Clock } from "../../core/index.ts";
import type { ValueHeader } from "../runners/protocol.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Piece } from "../streams/piece.ts";
import type { MemorySnapshots } from "../snapshots/snapshots.ts";
import type { Relay } from "./call-relay.ts";
import type { OpenFiles } from "./container-image.ts";
import type { LogLine } from "./container-log.ts";
import type { StartStages } from "./start-stages.ts";
import type { AgentResult, ContainerExit, StartContainer } from "./link.ts";

/** Where a container reports. */
export interface ContainerReports {
  ready(containerId: string, startMs: number, restored: boolean, stages: StartStages): void;
  results(
    containerId: string,
    results: readonly AgentResult[],
    payloads: readonly Uint8Array[],
  ): void;
  values(
    containerId: string,
    values: readonly ValueHeader[],
    payloads: readonly Uint8Array[],
  ): void;
  stream(containerId: string, streamId: string, piece: Piece, body: Uint8Array): void;
  logs(containerId: string, lines: readonly LogLine[]): void;
  exited(exit: ContainerExit): void;
}

export interface ContainerOptions {
  readonly start: StartContainer;
  /** The payload of a class's parameters; empty unless given. */
  readonly params?: Uint8Array;
  readonly runtime: Runtime;
  /** Gets what it runs in; absent means the base image and no volumes. */
  readonly openFiles?: OpenFiles | undefined;
  readonly loadCode: (sha256: string) => Promise<Uint8Array>;
  /** Images of memory, where this node keeps them. */
  readonly snapshots?: Pick<MemorySnapshots, "restore" | "consider">;
  readonly reports: ContainerReports;
  readonly clock: Clock;
  /** Where requests of the user's code go. */
  readonly relay: Relay;
}
