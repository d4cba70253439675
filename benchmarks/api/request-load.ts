/** Requests as fast as one process sends them, over a few connections that are kept. */
import { Agent, get } from "node:http";

const CONNECTIONS = 16;
const REQUESTS = 6_000;

/** Requests a second that are answered 204. */
export async function requestsPerSecond(url: string, token: string): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const headers = { authorization: `Bearer ${token}` };
  let left = REQUESTS;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      get(url, { agent, headers }, (answer) => {
        answer.resume();
        answer.once("end", resolve);
        if (answer.statusCode !== 204) reject(new Error(`${url} answered ${answer.statusCode}`));
      }).once("error", reject);
    });
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await one();
    }
  };
  const startedAtMs = performance.now();
  await Promise.all(Array.from({ length: CONNECTIONS }, lane));
  const seconds = (performance.now() - startedAtMs) / 1_000;
  agent.destroy();
  return REQUESTS / seconds;
}
