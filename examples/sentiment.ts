/**
 * A class that loads a language model from a package and serves it from a memory snapshot.
 *
 * The model is `wink-eng-lite-web-model` of npm (3.8 MB; it tags parts of speech and rates
 * sentiment), which holds its own weights: it is a part of the bundle, and nothing is downloaded
 * when a container starts. The first container loads it. Later ones on its node are restored from
 * memory in which `load` has run; answers of those tell the same `loadedAt` from several
 * containers.
 *
 *     npm install wink-nlp wink-eng-lite-web-model
 *     flotilla run examples/sentiment.ts
 */
/* eslint-disable @typescript-eslint/unbound-method -- the package takes its own methods as values */
import { App } from "flotilla";
import model from "wink-eng-lite-web-model";
import winkNlp, { type WinkMethods } from "wink-nlp";

const app = new App("sentiment");

interface Opinion {
  /** From -1, a complaint, to 1, praise; 0 where the text says neither. */
  readonly sentiment: number;
  /** The nouns of the text in lower case, each once. */
  readonly about: readonly string[];
}

export const Reviewer = app.cls(
  {
    name: "Reviewer",
    enableMemorySnapshot: true,
    enter: { load: { snapshot: true } },
    maxConcurrentInputs: 4,
  },
  class {
    #nlp: WinkMethods | undefined;
    #loadedAt = "";

    /** Runs before the memory is kept, so a restored container has the model at once. */
    load(): void {
      const startedAtMs = performance.now();
      this.#nlp = winkNlp(model, ["sbd", "negation", "pos", "sentiment"]);
      // The first text is slow: what the model builds for it belongs to the snapshot too.
      this.rate("The model is warm.");
      this.#loadedAt = new Date().toISOString();
      console.log(`loaded the model in ${Math.round(performance.now() - startedAtMs)} ms`);
    }

    rate(text: string): Opinion {
      if (this.#nlp === undefined) throw new Error("the model is not loaded");
      const { its } = this.#nlp;
      const document = this.#nlp.readDoc(text);
      const nouns = document.tokens().filter((token) => token.out(its.pos) === "NOUN");
      return {
        sentiment: Number(document.out(its.sentiment)),
        about: [...new Set(nouns.out(its.normal))],
      };
    }

    /** Which container answers, and when the model that it has was loaded. */
    origin(): { readonly container: string; readonly loadedAt: string } {
      const container = process.env["FLOTILLA_CONTAINER_ID"] ?? "this machine";
      return { container, loadedAt: this.#loadedAt };
    }
  },
);

const REVIEWS = [
  "I love this place: the soup is wonderful and the waiters were friendly.",
  "The rooms were dirty and the manager was rude.",
  "The bus leaves at nine.",
];

app.localEntrypoint(async () => {
  const reviewer = Reviewer.instance();
  const opinions = reviewer.rate.map(REVIEWS);
  for await (const { sentiment, about } of opinions) {
    const mood = sentiment > 0.1 ? "praise" : sentiment < -0.1 ? "complaint" : "neither";
    console.log(`${mood}: ${about.join(", ")}`);
  }
  const { container, loadedAt } = await reviewer.origin.remote();
  console.log(`${container} has a model that was loaded at ${loadedAt}`);
});
