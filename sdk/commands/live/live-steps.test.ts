import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { copyLines } from "../volumes/copy-progress.ts";
import { openScreen } from "./live-screen.ts";
import { liveSteps, plainSteps } from "./live-steps.ts";
import { TestScreen } from "./test-screen.ts";

beforeEach(() => {
  vi.stubEnv("NO_COLOR", "1");
  vi.useFakeTimers();
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test("without a terminal every line comes as it is", () => {
  const lines: string[] = [];
  const steps = plainSteps((line) => lines.push(line));
  steps.begin("[1/2] aptInstall jq");
  steps.detail("Setting up jq");
  steps.end("done in 2.0 s");
  steps.close();
  expect(lines).toEqual(["[1/2] aptInstall jq", "    Setting up jq", "    done in 2.0 s"]);
});

test("on a terminal the step under way shows its time and last lines, and then one line stays", () => {
  const terminal = new TestScreen(60);
  vi.spyOn(process.stderr, "write").mockImplementation((text) => terminal.write(String(text)));
  let nowMs = 0;
  const screen = openScreen({ stream: terminal, around: [terminal] });
  const steps = liveSteps(screen, () => nowMs);
  steps.line("Uploaded the code");
  steps.begin("[1/2] aptInstall jq");
  for (const text of ["a", "b", "c", "d", "e"]) steps.detail(text);
  nowMs = 12_000;
  vi.advanceTimersByTime(200);
  expect(terminal.seen).toEqual([
    "Uploaded the code",
    "[1/2] aptInstall jq  12 s",
    "    b",
    "    c",
    "    d",
    "    e",
  ]);
  steps.end("done in 12.0 s");
  steps.begin("[2/2] runCommands false");
  steps.close();
  steps.close();
  expect(terminal.seen).toEqual([
    "Uploaded the code",
    "[1/2] aptInstall jq  done in 12.0 s",
    "[2/2] runCommands false",
  ]);
});

test("a copy says how fast it is and how long it still takes", () => {
  const progress = { bytes: 1024 ** 2, bytesTotal: 4 * 1024 ** 2, sentBytes: 0 };
  expect(copyLines("Copying", progress, 10_000)).toEqual([
    "Copying  █████░░░░░░░░░░░░░░░ 1.0 MiB of 4.0 MiB",
    "  102 KiB/s, 0 B over the network, about 30 s left",
  ]);
});
