/** A secret of this machine. Run it with `API_KEY=my-api-key flotilla run examples/secrets.ts`. */
import { App, Secret } from "flotilla";

const app = new App("secrets");

// For a deployed app: `flotilla secret create api API_KEY=-`, and Secret.fromName("api").
const secrets = [Secret.fromObject({ API_KEY: process.env["API_KEY"] ?? "not-a-real-key" })];

export const sign = app.function({ secrets }, async (text: string): Promise<string> => {
  const key = process.env["API_KEY"] ?? "";
  console.log(`the log shows the key as ${key}`);
  const bytes = new TextEncoder().encode(key + text);
  return Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex");
});

export const main = app.localEntrypoint(async () => {
  console.log(await sign.remote("hello"));
});
