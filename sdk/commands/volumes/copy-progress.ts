/** How far a copy is: a bar in place on a terminal, elsewhere a line now and then. */
import type { CopyProgress } from "../../volumes/copy.ts";
import { barOf, duration } from "../live/app-view.ts";
import { isLive, stderrScreen } from "../live/live-screen.ts";
import { printProgress, progressLine } from "../terminal.ts";
import { sizeOf } from "./size-of.ts";

/** Progress is said when a copy takes so long, and then as often. */
const PLAIN_EVERY_MS = 1_000;
const REDRAW_MS = 100;
const MS_PER_SECOND = 1_000;

/** Takes in how far a copy is, until it is over. */
export interface CopyShow {
  readonly note: (progress: CopyProgress) => void;
  readonly close: () => void;
}

/** Shows a copy that begins now. */
export function copyProgress(
  doing: string,
  { json = false }: { readonly json?: boolean | undefined },
): CopyShow {
  const screen = isLive() && !json ? stderrScreen() : undefined;
  const beganMs = performance.now();
  let saidAtMs = beganMs;
  return {
    note(progress) {
      const nowMs = performance.now();
      if (nowMs - saidAtMs < (screen === undefined ? PLAIN_EVERY_MS : REDRAW_MS)) return;
      saidAtMs = nowMs;
      if (screen === undefined) printProgress(progressLine(`${doing}: ${copyLine(progress)}`));
      else screen.show(copyLines(doing, progress, nowMs - beganMs));
    },
    close: () => screen?.close(),
  };
}

/** The lines of a copy that has gone on for `tookMs`: how much, how fast, how long still. */
export function copyLines(
  doing: string,
  progress: CopyProgress,
  tookMs: number,
): readonly string[] {
  const { bytes, bytesTotal, sentBytes } = progress;
  const share = bytesTotal === 0 ? 1 : bytes / bytesTotal;
  const left =
    share > 0 && share < 1 ? `, about ${duration((tookMs / share) * (1 - share))} left` : "";
  const pace = tookMs === 0 ? 0 : (bytes / tookMs) * MS_PER_SECOND;
  return [
    `${doing}  ${barOf(share)} ${sizeOf(bytes)} of ${sizeOf(bytesTotal)}`,
    `  ${sizeOf(pace)}/s, ${sizeOf(sentBytes)} over the network${left}`,
  ];
}

function copyLine({ bytes, bytesTotal, sentBytes }: CopyProgress): string {
  const share = bytesTotal === 0 ? 1 : bytes / bytesTotal;
  const done = `${sizeOf(bytes)} of ${sizeOf(bytesTotal)} (${Math.floor(share * 100)} %)`;
  return `${done}, ${sizeOf(sentBytes)} over the network`;
}
