/** Images in code. Run it with `flotilla run examples/images.ts`. */
import { execFileSync } from "node:child_process";
import { App, Image } from "flotilla";

const app = new App("images");

const image = Image.debianSlim()
  .aptInstall("jq")
  .env({ LANG: "C.UTF-8" })
  .runCommands("jq --version > /etc/jq-version");

export const query = app.function({ image }, (json: string, filter: string): string =>
  execFileSync("jq", ["-c", filter], { input: json, encoding: "utf8" }).trim(),
);

export const main = app.localEntrypoint(async () => {
  console.log(await query.remote('{"planets": ["Venus", "Earth"]}', ".planets[1]"));
});
