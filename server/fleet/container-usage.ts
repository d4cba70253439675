/** What the fleet tells whoever meters its containers, and asks of their workspaces' quotas. */
import type { LiveFunction } from "../calls/function-table.ts";
import type { ContainerUse } from "../../sandbox/index.ts";
import type { ContainerRecord } from "./container-table.ts";

export interface ContainerUsage {
  /**
   * Takes the room of a container in its workspace's quotas, before it is started.
   *
   * @returns why there is none, or undefined when it is taken.
   * @throws PlatformError `unavailable` when that cannot be written.
   */
  take(container: ContainerRecord): Promise<string | undefined>;
  /** A container that this server did not know runs on a node. */
  found(container: ContainerRecord): void;
  /** Its agent would not take it. */
  refused(container: ContainerRecord): void;
  /** What containers have used beyond what is reserved, since their starts. */
  used(uses: readonly ContainerUse[]): void;
  /** All that a node's agent holds was found or is known. */
  settleNode(nodeId: string): Promise<void>;
  /**
   * Why a function gets no container beside what its workspace holds here, by what was known a
   * second ago; undefined when it may.
   */
  refusalOf(
    live: LiveFunction,
    held: { readonly containers: number; readonly gpuMilli: number },
  ): string | undefined;
  /** Why a workspace runs nothing new this month; undefined when it may. */
  spendingRefusal(workspaceId: string): string | undefined;
}
