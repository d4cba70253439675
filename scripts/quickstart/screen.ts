/** The terminal of the quick start: lines that stay, and one progress line that moves. */
import { styleText } from "node:util";

const BAR_WIDTH = 30;
/** Without a terminal, progress is a plain line for each tenth. */
const PLAIN_STEPS = 10;

/** What the quick start prints through. */
export interface Screen {
  heading(text: string): void;
  /** A line of the story, with the time since the last `restartClock`. */
  story(subject: string, text: string): void;
  plain(text: string): void;
  /** Moves the progress line; `total` ends it. */
  progress(done: number, total: number, note: string): void;
  restartClock(): void;
}

/** A screen on stdout. @param nowMs Any clock that counts milliseconds. */
export function createScreen(nowMs: () => number, isTerminal: boolean): Screen {
  let startedAtMs = nowMs();
  let bar = "";
  let plainStep = 0;
  const print = (text: string): void => {
    if (bar === "") console.log(text);
    else process.stdout.write(`\r\u001b[K${text}\n${bar}`);
  };
  return {
    restartClock: () => (startedAtMs = nowMs()),
    heading: (text) => print(`\n${styleText("bold", text)}`),
    plain: print,
    story: (subject, text) => {
      const seconds = `${((nowMs() - startedAtMs) / 1000).toFixed(2)} s`.padStart(8);
      print(`${styleText("dim", seconds)}  ${styleText("cyan", subject.padEnd(9))}  ${text}`);
    },
    progress: (done, total, note) => {
      const fraction = total === 0 ? 1 : done / total;
      if (isTerminal) {
        bar = done === total ? "" : barText(fraction, note);
        process.stdout.write(`\r\u001b[K${done === total ? `${barText(1, note)}\n` : bar}`);
        return;
      }
      const step = Math.floor(fraction * PLAIN_STEPS);
      if (step > plainStep) console.log(`  ${barText(fraction, note)}`);
      plainStep = done === total ? 0 : step;
    },
  };
}

function barText(fraction: number, note: string): string {
  const filled = Math.round(fraction * BAR_WIDTH);
  const percent = `${Math.floor(fraction * 100)} %`.padStart(5);
  return `${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)} ${percent}  ${note}`;
}
