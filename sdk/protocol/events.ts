/** What happens on the platform, as it happens; stored in a capped stream, sent as SSE. */
import type { PlanSummary } from "./api.ts";

/** Fields every event has. `eventId` orders them and is where a reader resumes. */
export interface EventBase {
  readonly eventId: string;
  readonly atMs: number;
  readonly appId?: string;
  readonly functionId?: string;
  readonly callId?: string;
  readonly containerId?: string;
  readonly nodeId?: string;
}

export type EventBody =
  | { readonly kind: "call.queued"; readonly inputs: number }
  /** Demand that nothing running can meet, with the constraint that binds. */
  | { readonly kind: "call.pending"; readonly reason: string }
  | { readonly kind: "call.finished"; readonly succeeded: number; readonly failed: number }
  | { readonly kind: "plan.made"; readonly plan: PlanSummary }
  | {
      readonly kind: "node.requested";
      readonly offerId: string;
      readonly usdPerHour: number;
      readonly reason: string;
    }
  | { readonly kind: "node.booting"; readonly providerNodeId: string }
  | { readonly kind: "node.refused"; readonly offerId: string; readonly reason: string }
  | {
      readonly kind: "node.registered";
      readonly description: string;
      readonly emulated: boolean;
      readonly isolation: "gvisor" | "process";
    }
  | { readonly kind: "node.draining"; readonly reason: string }
  | { readonly kind: "node.terminated"; readonly reason: string }
  | { readonly kind: "container.placed"; readonly reason: string }
  | { readonly kind: "container.starting" }
  /** `restored`: it was started from a snapshot of memory. */
  | {
      readonly kind: "container.ready";
      readonly startMs: number;
      /** Its parts: until the image was there, the sandbox was booted or restored, the user's code was loaded. */
      readonly stages?: {
        readonly imageMs: number;
        readonly bootMs: number;
        readonly initMs: number;
      };
      readonly restored?: boolean;
    }
  | { readonly kind: "container.exited"; readonly reason: string; readonly exitCode?: number }
  /** A scheduled time came, and its call was accepted. */
  | { readonly kind: "schedule.started"; readonly dueAtMs: number; readonly lateMs: number }
  /** Scheduled times that passed without a run; `count` 1,000 means that or more. */
  | {
      readonly kind: "schedule.missed";
      readonly count: number;
      readonly firstDueAtMs: number;
      readonly lastDueAtMs: number;
      readonly reason: string;
    }
  | {
      readonly kind: "log";
      readonly stream: "stdout" | "stderr";
      readonly text: string;
      /** Counts up from 1 within a container, without gaps. */
      readonly sequence: number;
    };

export type PlatformEvent = EventBase & EventBody;
