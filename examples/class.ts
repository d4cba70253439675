/**
 * A class: what is loaded once in a container serves many calls.
 *
 * `enter` hooks run before the first call, `exit` hooks when the container ends. Each set of
 * constructor parameters has containers of its own.
 *
 *     flotilla run examples/class.ts
 */
import { App } from "flotilla";

const app = new App("class");

export const Translator = app.cls(
  { name: "Translator", enter: { load: { snapshot: true } }, exit: ["close"] },
  class {
    readonly #language: "de" | "fr";
    readonly #words = new Map<string, string>();

    constructor(language: "de" | "fr") {
      this.#language = language;
    }

    /** Stands for weights that take a while to load. */
    load(): void {
      this.#words.set("water", this.#language === "de" ? "Wasser" : "eau");
      this.#words.set("bread", this.#language === "de" ? "Brot" : "pain");
    }

    translate(word: string): string {
      return this.#words.get(word) ?? word;
    }

    close(): void {
      console.log(`closing ${this.#language}`);
    }
  },
);

app.localEntrypoint(async () => {
  const german = Translator.instance("de");
  console.log(await german.translate.remote("water"));
  const french = Translator.instance("fr");
  for await (const word of french.translate.map(["water", "bread"])) console.log(word);
});
