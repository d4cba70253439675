import type { Image } from "./image.ts";
import type { FunctionSpec } from "./protocol/spec.ts";

/** The options of a function as they are written in code. Everything has a default. */
export interface WrittenSpec extends Omit<FunctionSpec, "image"> {
  /** What is on the disk of its containers. Default: Node and nothing else. */
  readonly image?: Image;
}
