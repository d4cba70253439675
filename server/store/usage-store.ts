/** The part of the record store that usage and quotas live in. */
import type { WorkspaceQuotas } from "../../sdk/protocol/index.ts";
import type { ExtraUse, HeldResources, UsageAmounts } from "../usage/cost.ts";
import type { WorkspaceUse } from "../usage/quotas.ts";

/** The time of one container on a node, from its placement to its end. */
export interface UsageSpan extends HeldResources {
  readonly containerId: string;
  readonly workspaceId: string;
  readonly app: string;
  readonly functionName: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Of its node; absent without a GPU. */
  readonly gpuType?: string;
  readonly nodeId: string;
  /** The server whose clock it goes by. */
  readonly serverId: string;
}

/** A span that has not ended, as far as it is known to have come. */
export interface OpenSpan extends UsageSpan {
  readonly untilMs: number;
  /** Its server started anew, and has not found it yet. */
  readonly isLost: boolean;
}

/** What was used in one hour by containers that are alike, and have ended. */
export interface UsageHour extends UsageAmounts {
  readonly hourMs: number;
  readonly app: string;
  readonly functionName: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly gpuType?: string;
}

/** What one container has used beyond what is reserved for it, since its start. */
export interface ContainerExtraUse extends ExtraUse {
  readonly containerId: string;
}

export type SpanOutcome =
  | { readonly kind: "opened" }
  /** Its workspace may not have one more. */
  | { readonly kind: "refused"; readonly reason: string };

/**
 * Spans of containers are open from placement to end. An open one has come as far as the clock of
 * its server, which is written once a second; so a crash loses less than a second of it. An end
 * moves it into the hours it was in, in one write and once.
 */
export interface UsageStore {
  /**
   * Opens a span if the quotas of its workspace have room for it: looked up and taken in one
   * write, so that servers that share a store oversell nothing between them. One that is open
   * already stays.
   */
  open(span: UsageSpan): Promise<SpanOutcome>;
  /** Opens a span whatever the quotas: its container runs. One that was lost goes on. */
  resume(span: UsageSpan): Promise<void>;
  /**
   * Counts what containers have used beyond what is reserved, in the hour of `nowMs`: by how much
   * each sum is above the largest that was told before, so that none is lost and none counts
   * twice. Of a container whose span was opened by `resume` the first sum only says where it
   * begins; of one whose span is not open nothing is counted.
   */
  used(uses: readonly ContainerExtraUse[], nowMs: number): Promise<void>;
  /** Ends a span, and counts it; nothing when it is not open. */
  end(containerId: string, endedAtMs: number): Promise<void>;
  /** Forgets a span of a container that never ran; nothing when it is not open. */
  cancel(containerId: string): Promise<void>;
  /** Notes the time of a server; an earlier one changes nothing. */
  beat(serverId: string, nowMs: number): Promise<void>;
  /** A server starts: its spans are lost at its last beat, until `resume` or `end`. */
  loseOf(serverId: string): Promise<void>;
  /** Open spans of a workspace, or of all. */
  listOpen(workspaceId?: string): Promise<readonly OpenSpan[]>;
  /** Hours from `sinceMs` on and before `untilMs`, by hour, app and function. */
  hours(workspaceId: string, sinceMs: number, untilMs: number): Promise<readonly UsageHour[]>;
  /** What a workspace has, and has used of the month of `nowMs`. */
  useOf(workspaceId: string, nowMs: number): Promise<WorkspaceUse>;
  quotas(workspaceId: string): Promise<WorkspaceQuotas>;
  setQuotas(workspaceId: string, quotas: WorkspaceQuotas): Promise<void>;
}
