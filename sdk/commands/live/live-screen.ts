/**
 * A few lines at the bottom of a terminal that are redrawn in place.
 *
 * Whatever else is written meanwhile, by commands or by the user's own code, appears above them:
 * the two output streams are wrapped while lines are shown. A line is cut to the width of the
 * terminal, and how many rows are taken back follows its width now, so that a resize leaves
 * nothing behind. Nothing is drawn where there is no terminal.
 */
import { styled, withoutControls } from "../terminal.ts";

/** A stream that may be a terminal. */
export interface TerminalStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write: NodeJS.WriteStream["write"];
}

export interface LiveScreenOptions {
  /** Where lines are drawn. */
  readonly stream: TerminalStream;
  /** Streams whose writes go above the lines, if they are terminals; `stream` among them. */
  readonly around: readonly TerminalStream[];
}

/** Written where lines are, and taken back by moving up. */
export interface LiveScreen {
  /** Shows these lines instead of those before. */
  show(lines: readonly string[]): void;
  /** Takes the lines away for good. */
  close(): void;
}

const COLUMNS_DEFAULT = 80;
const ROWS_DEFAULT = 24;
/** Lines of others must stay in sight. */
const ROWS_LEFT = 2;

/** Whether stderr is a terminal on which lines may be redrawn. */
export function isLive(
  environment: NodeJS.ProcessEnv = process.env,
  stream: TerminalStream = process.stderr,
): boolean {
  const { TERM: term, CI: ci } = environment;
  return stream.isTTY === true && term !== "dumb" && (ci === undefined || ci === "");
}

/** Lines on stderr, with all that goes to the terminal above them. */
export function stderrScreen(): LiveScreen {
  const { stdout, stderr } = process;
  const screen = openScreen({ stream: stderr, around: [stdout, stderr] });
  const close = (): void => screen.close();
  process.once("exit", close);
  return {
    show: (lines) => screen.show(lines),
    close: () => {
      process.off("exit", close);
      screen.close();
    },
  };
}

/** @see LiveScreen */
export function openScreen({ stream, around }: LiveScreenOptions): LiveScreen {
  const write = stream.write.bind(stream);
  /** What is drawn now; empty when nothing is. */
  let drawn: readonly string[] = [];
  let wanted: readonly string[] = [];
  let drawnColumns = 0;
  /** Others have begun a line and not ended it. */
  let isMidLine = false;

  const erase = (): void => {
    if (drawn.length === 0) return;
    const columns = stream.columns ?? COLUMNS_DEFAULT;
    const rows = drawn.reduce((sum, line) => sum + rowsOf(widthOf(line), columns), 0);
    write(`\u001b[${rows}A\r\u001b[J`);
    drawn = [];
  };
  const draw = (): void => {
    if (isMidLine || wanted.length === 0) return;
    const columns = stream.columns ?? COLUMNS_DEFAULT;
    drawnColumns = columns;
    const room = Math.max(1, (stream.rows ?? ROWS_DEFAULT) - ROWS_LEFT);
    drawn = wanted.slice(0, room).map((line) => cut(withoutControls(line), columns - 1));
    write(drawn.map((line) => `${styled("dim", line)}\n`).join(""));
  };
  const restores = around
    .filter(({ isTTY }) => isTTY === true)
    .map((other) =>
      wrap(other, (text, pass) => {
        erase();
        const result = pass();
        if (text !== "") isMidLine = !text.endsWith("\n");
        draw();
        return result;
      }),
    );
  return {
    show(lines) {
      const columns = stream.columns ?? COLUMNS_DEFAULT;
      const isSame = lines.join("\n") === wanted.join("\n") && columns === drawnColumns;
      if (isSame && drawn.length > 0) return;
      wanted = lines;
      erase();
      draw();
    },
    close() {
      wanted = [];
      erase();
      for (const restore of restores) restore();
    },
  };
}

/** Has `around` do each write of `stream` from now on. @returns what undoes that */
function wrap(
  stream: TerminalStream,
  around: (text: string, pass: () => boolean) => boolean,
): () => void {
  const own = Object.getOwnPropertyDescriptor(stream, "write");
  const write = stream.write.bind(stream) as (...all: unknown[]) => boolean;
  stream.write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
    const text = typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk);
    return around(text, () => write(chunk, ...rest));
  };
  return () => {
    if (own === undefined) Reflect.deleteProperty(stream, "write");
    else Object.defineProperty(stream, "write", own);
  };
}

function rowsOf(width: number, columns: number): number {
  return Math.max(1, Math.ceil(width / Math.max(1, columns)));
}

const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]/u;
const NO_WIDTH = /\p{Mark}|\u200d|\ufe0f/u;

/** How many columns a terminal takes for `text`. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += widthOfOne(character);
  return width;
}

function widthOfOne(character: string): number {
  if (NO_WIDTH.test(character)) return 0;
  return WIDE.test(character) || /\p{Emoji_Presentation}/u.test(character) ? 2 : 1;
}

/** As much of `text` as fits in `columns`, with three dots for the rest. */
export function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let kept = "";
  let width = 1;
  for (const character of text) {
    width += widthOfOne(character);
    if (width > columns) break;
    kept += character;
  }
  return columns < 1 ? "" : `${kept}…`;
}
