/** The native program that opens terminals, for tests that look at one. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { addGuestProgram, GUEST_FILE } from "../../sandbox/runners/guest-program.ts";
import type { TestPlatform } from "./platform.ts";

/** Makes it in the scratch folder of a platform; gives its path. Fails where there is no compiler. */
export async function makeGuest(platform: TestPlatform): Promise<string> {
  const dir = join(platform.scratchDir, "guest");
  await mkdir(dir);
  expect(await addGuestProgram(dir)).toBe(true);
  return join(dir, GUEST_FILE);
}
