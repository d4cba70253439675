/**
 * A container reaches the hosts that its function names, and nothing else.
 *
 *     flotilla run examples/network.ts
 */
import { App } from "flotilla";

const app = new App("network");

/** Two spellings of what no function may reach: the cloud's metadata service, and this machine. */
const FORBIDDEN = ["http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:22/"];

export const probe = app.function(
  { network: { allowHosts: ["registry.npmjs.org"] } },
  async (url: string) => {
    try {
      const { status } = await fetch(url, { signal: AbortSignal.timeout(10_000) });
      // The proxy answers for hosts that it does not let through.
      return status === 403 ? "refused" : `status ${status}`;
    } catch {
      return "refused";
    }
  },
);

app.localEntrypoint(async () => {
  for (const url of [...FORBIDDEN, "http://example.com/"]) {
    console.log(`${url}: ${await probe.remote(url)}`);
  }
});
