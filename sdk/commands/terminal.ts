/** What goes to the terminal: data on stdout, progress on stderr, nothing that could steer it. */
import { styleText } from "node:util";

/* eslint-disable no-control-regex -- finding control characters is the job of these */
const ESCAPES =
  /\u001b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -~]?)/g;
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/**
 * `text` without anything that moves the cursor, sets colours or titles, or rings: text of
 * others may only show itself. Tabs and line ends stay.
 */
export function withoutControls(text: string): string {
  return text.replace(ESCAPES, "").replace(CONTROLS, "");
}

/** `text` in a style where stderr is a terminal that shows it; NO_COLOR and FORCE_COLOR decide too. */
export function styled(style: "bold" | "dim" | "red", text: string): string {
  return styleText(style, text, { stream: process.stderr });
}

/** What happened or is waited for, as one dim line, without control characters of others. */
export function progressLine(text: string): string {
  return styled("dim", `• ${withoutControls(text)}`);
}

/** Prints data. */
export function printData(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Prints progress or a message about it. */
export function printProgress(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Prints one JSON document on one line. */
export function printJson(value: unknown): void {
  printData(JSON.stringify(value));
}
