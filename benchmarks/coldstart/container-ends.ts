/** Stops containers of a platform and waits until they are gone. */
import { setTimeout as sleep } from "node:timers/promises";
import type { RunningPlatform } from "../../scripts/platform/platform-process.ts";

const POLL_MS = 50;
const GONE_MS_MAX = 30_000;

export class ContainerEnds {
  readonly #platform: Pick<RunningPlatform, "serverUrl" | "token">;

  constructor(platform: Pick<RunningPlatform, "serverUrl" | "token">) {
    this.#platform = platform;
  }

  /** @throws Error when the container is still there after half a minute. */
  async stop(containerId: string): Promise<void> {
    await this.#ask("POST", `/v1/containers/${containerId}/stop`);
    const deadlineMs = performance.now() + GONE_MS_MAX;
    while ((await this.#ask("GET", "/v1/containers")).includes(containerId)) {
      if (performance.now() > deadlineMs) throw new Error(`${containerId} does not end`);
      await sleep(POLL_MS);
    }
  }

  async #ask(method: string, path: string): Promise<string> {
    const { serverUrl, token } = this.#platform;
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${serverUrl}${path}`, { method, headers });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} gave HTTP ${response.status}: ${text}`);
    return text;
  }
}
