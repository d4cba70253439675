/** A URL whose code is Python: JSON in and out, and events as they come. */
import { App } from "flotilla";

const app = new App("python-web");

export const count = app.webEndpoint({
  runtime: "python",
  source: "words.py",
  handler: "count",
  method: "POST",
});

/** One event for each word, as a generator yields them. */
export const spell = app.webEndpoint({ runtime: "python", source: "words.py", handler: "spell" });

app.localEntrypoint(async () => {
  const answer = await fetch(await count.url(), { method: "POST", body: "to be or not to be" });
  console.log(await answer.json());
  const events = await fetch(`${await spell.url()}?text=a+few+words`);
  console.log((await events.text()).trimEnd().split("\n\n").join(", "));
});
