/** What goes to the terminal: data on stdout, progress on stderr, nothing that could steer it. */

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
