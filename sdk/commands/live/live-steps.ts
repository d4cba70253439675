/**
 * Progress of work in steps: on a terminal the step that is under way, with its time and its
 * last lines, redrawn in place; elsewhere every line as it comes.
 */
import { printProgress } from "../terminal.ts";
import { duration } from "./app-view.ts";
import { isLive, stderrScreen, type LiveScreen } from "./live-screen.ts";

const REDRAW_MS = 200;
const DETAILS_MAX = 4;

/** Where the progress of a command goes. */
export interface Steps {
  /** A line that stays. */
  readonly line: (text: string) => void;
  /** What is under way from now on; a plain line where nothing is redrawn. */
  readonly begin: (text: string) => void;
  /** What the step under way prints: shown while it goes on. */
  readonly detail: (text: string) => void;
  /** The step is over: its line stays, with what came of it. */
  readonly end: (outcome: string) => void;
  /** No more is shown; may be called again. */
  readonly close: () => void;
}

/** Every line as it comes. */
export function plainSteps(print: (line: string) => void = printProgress): Steps {
  return {
    line: print,
    begin: print,
    detail: (text) => print(`    ${text}`),
    end: (outcome) => print(`    ${outcome}`),
    close: () => undefined,
  };
}

/** Redrawn where stderr is a terminal, unless the command speaks JSON. */
export function stepsFor({ json = false }: { readonly json?: boolean | undefined }): Steps {
  return isLive() && !json ? liveSteps(stderrScreen()) : plainSteps();
}

/** @see Steps */
export function liveSteps(screen: LiveScreen, nowMs = (): number => performance.now()): Steps {
  let current: { readonly text: string; readonly beganMs: number } | undefined;
  let details: string[] = [];
  let isClosed = false;
  const redraw = (): void => {
    if (current === undefined) screen.show([]);
    else {
      const took = duration(nowMs() - current.beganMs);
      screen.show([`${current.text}  ${took}`, ...details.map((text) => `    ${text}`)]);
    }
  };
  const timer = setInterval(redraw, REDRAW_MS);
  timer.unref();
  const stop = (): void => {
    current = undefined;
    details = [];
    redraw();
  };
  return {
    line: printProgress,
    begin(text) {
      current = { text, beganMs: nowMs() };
      details = [];
      redraw();
    },
    detail(text) {
      details = [...details, text].slice(-DETAILS_MAX);
    },
    end(outcome) {
      const text = current?.text ?? "";
      stop();
      printProgress(`${text}  ${outcome}`);
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      // A step that is cut off stays in sight: it says where things ended.
      const text = current?.text;
      stop();
      clearInterval(timer);
      screen.close();
      if (text !== undefined) printProgress(text);
    },
  };
}
