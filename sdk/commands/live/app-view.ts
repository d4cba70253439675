/** What an app does now, in a few lines: its inputs, its containers, its machines. */
import type { CallStatus, PlatformEvent } from "../../protocol/index.ts";

const MS_PER_SECOND = 1_000;
/** From so many finished inputs on their pace says when the rest is done. */
const PACE_INPUTS_MIN = 3;
const BAR_COLUMNS = 20;

/** What is known of an app that runs. */
export class AppView {
  readonly #open = new Set<string>();
  readonly #statuses = new Map<string, CallStatus>();
  readonly #queued = new Map<string, number>();
  readonly #ended = new Map<string, Pick<CallStatus, "finishedCount" | "failedCount">>();
  readonly #starting = new Set<string>();
  readonly #ready = new Set<string>();
  readonly #booting = new Set<string>();
  #waitsFor: string | undefined;
  #firstDoneAtMs: number | undefined;

  /** Calls that are not finished: whose status is worth asking for. */
  get openCalls(): readonly string[] {
    return [...this.#open];
  }

  /** Takes in what happened. */
  note(event: PlatformEvent): void {
    this.#noteCall(event);
    const { containerId = "", nodeId = "" } = event;
    if (event.kind === "container.starting") this.#starting.add(containerId);
    if (event.kind === "container.ready") {
      this.#starting.delete(containerId);
      this.#ready.add(containerId);
      this.#waitsFor = undefined;
    }
    if (event.kind === "container.exited") {
      this.#starting.delete(containerId);
      this.#ready.delete(containerId);
    }
    if (event.kind === "node.booting") this.#booting.add(nodeId);
    if (event.kind === "node.registered" || event.kind === "node.terminated") {
      this.#booting.delete(nodeId);
    }
  }

  #noteCall(event: PlatformEvent): void {
    const { callId } = event;
    if (event.kind === "call.pending") this.#waitsFor = event.reason;
    if (callId === undefined) return;
    if (event.kind === "call.queued") {
      this.#open.add(callId);
      this.#queued.set(callId, event.inputs);
    }
    if (event.kind === "call.finished") {
      this.#open.delete(callId);
      const { succeeded, failed } = event;
      this.#finish(callId, succeeded + failed, failed);
    }
  }

  #finish(callId: string, inputCount: number, failedCount: number): void {
    this.#queued.set(callId, inputCount);
    this.#ended.set(callId, { finishedCount: inputCount, failedCount });
    this.#statuses.delete(callId);
  }

  /** Takes in what the server says of an open call. */
  noteStatus(status: CallStatus, nowMs: number): void {
    if (!this.#open.has(status.callId)) return;
    this.#statuses.set(status.callId, status);
    if (status.finishedCount > 0) this.#firstDoneAtMs ??= nowMs;
    if (status.pendingReason !== undefined) this.#waitsFor = status.pendingReason;
  }

  /** The lines to show, of which none is empty. */
  lines(nowMs: number): readonly string[] {
    const { total, done, failed } = this.#inputs();
    const lines = total === 0 ? [] : [this.#inputLine({ total, done, failed }, nowMs)];
    const containers = parts([
      [this.#ready.size, "ready"],
      [this.#starting.size, "starting"],
    ]);
    if (containers !== "") lines.push(`  containers ${containers}`);
    if (this.#booting.size > 0) lines.push(`  machines   ${this.#booting.size} booting`);
    if (this.#waitsFor !== undefined && this.#ready.size === 0) {
      lines.push(`  waiting    ${this.#waitsFor}`);
    }
    return lines;
  }

  #inputs(): { readonly total: number; readonly done: number; readonly failed: number } {
    let total = 0;
    let done = 0;
    let failed = 0;
    for (const [callId, queued] of this.#queued) {
      const known = this.#ended.get(callId) ?? this.#statuses.get(callId);
      total += Math.max(queued, this.#statuses.get(callId)?.inputCount ?? 0);
      done += known?.finishedCount ?? 0;
      failed += known?.failedCount ?? 0;
    }
    return { total, done, failed };
  }

  #inputLine(
    {
      total,
      done,
      failed,
    }: { readonly total: number; readonly done: number; readonly failed: number },
    nowMs: number,
  ): string {
    const share = done / total;
    const counts = `${count(done)} of ${count(total)}`;
    const failures = failed === 0 ? "" : ` · ${count(failed)} failed`;
    const since = this.#firstDoneAtMs;
    const pace = since === undefined || nowMs <= since ? 0 : done / (nowMs - since);
    const left =
      done < PACE_INPUTS_MIN || done === total || pace === 0
        ? ""
        : ` · about ${duration((total - done) / pace)} left`;
    return `  inputs     ${barOf(share)} ${counts}${failures}${left}`;
  }
}

/** `12 s`, `3 min`, `2 h`. */
export function duration(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / MS_PER_SECOND));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

/** A bar, `share` of it full. */
export function barOf(share: number): string {
  const full = Math.max(0, Math.min(BAR_COLUMNS, Math.floor(share * BAR_COLUMNS)));
  return `${"█".repeat(full)}${"░".repeat(BAR_COLUMNS - full)}`;
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}

function parts(all: readonly (readonly [number, string])[]): string {
  return all
    .filter(([value]) => value > 0)
    .map(([value, word]) => `${count(value)} ${word}`)
    .join(", ");
}
