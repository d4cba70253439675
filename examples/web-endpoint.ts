/** A function with a URL, asked over HTTP: JSON in and out, and events as they come. */
import { App } from "flotilla";

const app = new App("web-endpoint");

export const greet = app.webEndpoint({ method: "POST" }, async (request) => {
  const { name } = (await request.json()) as { name: string };
  return Response.json({ text: `Hello ${name}` });
});

/** Counts down, one event every 100 ms. */
export const countdown = app.webEndpoint({ method: "GET", path: "v1/countdown" }, (request) => {
  const from = Number(new URL(request.url).searchParams.get("from") ?? "3");
  async function* events() {
    for (let left = from; left >= 0; left -= 1) {
      if (request.signal.aborted) return;
      yield new TextEncoder().encode(`data: ${left}\n\n`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  return new Response(ReadableStream.from(events()), {
    headers: { "content-type": "text/event-stream" },
  });
});

app.localEntrypoint(async () => {
  const answer = await fetch(await greet.url(), {
    method: "POST",
    body: JSON.stringify({ name: "Ann" }),
  });
  console.log(await answer.json());
  const events = await fetch(`${await countdown.url()}?from=2`);
  console.log((await events.text()).trimEnd().split("\n\n").join(", "));
});
