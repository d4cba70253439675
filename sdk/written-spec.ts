import type { Image } from "./image.ts";
import type { FunctionSpec } from "./protocol/spec.ts";
import type { Secret } from "./secret.ts";
import type { Volume } from "./volume.ts";

/** The options of a function as they are written in code. Everything has a default. */
export interface WrittenSpec extends Omit<FunctionSpec, "image" | "secrets" | "volumes"> {
  /** What is on the disk of its containers. Default: Node and nothing else. */
  readonly image?: Image;
  /**
   * Values that become variables of its containers, at most 16 secrets; of two with one variable
   * the later's is taken, and `env` goes before both.
   */
  readonly secrets?: readonly Secret[];
  /**
   * Folders that its containers share with all others that have the volume, by their absolute
   * paths, at most 8: `{ "/data": Volume.fromName("models") }`.
   */
  readonly volumes?: Readonly<Record<string, Volume>>;
}
