/** What a container wrote to stderr at last: all that is known of some ends. */

const CHARACTERS_MAX = 500;

export class LastWords {
  readonly #mask: (text: string) => string;
  #lastWords = "";
  #heapExhausted = false;

  /** `mask` takes secrets out of what is kept. */
  constructor(mask: (text: string) => string) {
    this.#mask = mask;
  }

  note(lines: readonly string[]): void {
    for (const line of lines) {
      if (line !== "") this.#lastWords = this.#mask(line).slice(0, CHARACTERS_MAX);
      this.#heapExhausted ||= line.includes("JavaScript heap out of memory");
    }
  }

  get heard(): { readonly lastWords: string; readonly heapExhausted: boolean } {
    return { lastWords: this.#lastWords, heapExhausted: this.#heapExhausted };
  }
}
