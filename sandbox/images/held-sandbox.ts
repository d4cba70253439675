/** A sandbox that has its image until it has ended, whoever has the sandbox by then. */
import type { RunningSandbox, SandboxSpec } from "../runtime/runtime.ts";
import type { NodeImages } from "./node-images.ts";

/** Starts or restores a sandbox; undefined when that cannot be any more. */
export type Make = (spec: SandboxSpec) => Promise<RunningSandbox | undefined>;

/**
 * Makes a sandbox in an image that is held for it alone: mounted anew, if it is not any more. It
 * ends when nothing of the image can be read.
 *
 * @throws PlatformError when the image cannot be had, or as `make` does
 */
export async function makeHeld(
  images: Pick<NodeImages, "hold">,
  spec: SandboxSpec,
  make: Make,
): Promise<RunningSandbox | undefined> {
  const { source, workdir } = spec.image ?? {};
  if (source === undefined) return make(spec);
  let sandbox: RunningSandbox | undefined;
  const wanted = { ...source, ...(workdir === undefined ? {} : { workdir }) };
  const held = await images.hold(wanted, () => sandbox?.kill());
  try {
    sandbox = await make({ ...spec, image: held.image });
  } catch (error) {
    held.release();
    throw error;
  }
  if (sandbox === undefined) held.release();
  else void sandbox.exited.then(() => held.release());
  return sandbox;
}
