/** The input for which the present code runs, inside a container. */

/** An input that runs, as its own code sees it. */
export interface CurrentInput {
  /** The call that it is part of. */
  readonly callId: string;
  /** Its index in a map; 0 in a single call. */
  readonly index: number;
  /**
   * Aborts when the result is wanted no more: its call was cancelled, or its container ends and
   * the input runs again elsewhere. Code that goes on for more than half a second after a cancel
   * is ended together with its container.
   */
  readonly signal: AbortSignal;
}

/** Under this key a runner leaves what the SDK needs to know of it. */
export const CONTAINER_KEY: unique symbol = Symbol.for("flotilla.container");

interface Container {
  currentInput(): { readonly inputId: string; readonly signal: AbortSignal } | undefined;
}

/**
 * The input for which this code runs; undefined outside a container, and in hooks.
 *
 * @example
 * const response = await fetch(url, { signal: currentInput()?.signal });
 */
export function currentInput(): CurrentInput | undefined {
  const container = (globalThis as { readonly [CONTAINER_KEY]?: Container })[CONTAINER_KEY];
  const input = container?.currentInput();
  if (input === undefined) return undefined;
  const { inputId } = input;
  const dot = inputId.lastIndexOf(".");
  return {
    callId: inputId.slice(0, dot),
    index: Number(inputId.slice(dot + 1)),
    get signal() {
      return input.signal;
    },
  };
}
