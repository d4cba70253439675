/** `flotilla doctor`: what this machine has, and how to mend the rest. */
import { styleText } from "node:util";
import { examine } from "./doctor-checks.ts";
import type { Finding } from "./finding.ts";
import { EXIT, settle } from "./outcome.ts";

const MARKS: Readonly<Record<Finding["state"], string>> = {
  good: styleText("green", "✔"),
  bad: styleText("red", "✖"),
  absent: styleText("dim", "–"),
};

/** Prints one line a check and sets exit code 1 when something required is missing. */
export async function runDoctor(options: {
  readonly data?: string;
  readonly json?: boolean;
}): Promise<void> {
  await settle(async () => {
    const checks = await examine(options.data);
    const healthy = checks.every((finding) => finding.state !== "bad");
    if (options.json === true) console.log(JSON.stringify({ healthy, checks }));
    else console.log(findingsText(checks));
    if (!healthy) process.exitCode = EXIT.failed;
  });
}

/** The findings as text: a line each, and below it how to mend what is not good. */
export function findingsText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map((finding) => finding.name.length));
  const lines = findings.flatMap(({ name, state, detail, mend }) => [
    `${MARKS[state]} ${name.padEnd(width)}  ${detail}`,
    ...(mend === undefined ? [] : [`  ${" ".repeat(width)}  → ${mend}`]),
  ]);
  return lines.join("\n");
}
