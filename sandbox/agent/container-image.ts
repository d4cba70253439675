/** The image of one container: held from before its start until its end. */
import type { HeldContainerImage } from "../images/node-images.ts";
import type { SandboxImage } from "../runtime/runtime.ts";

/** Gets the image of a container; `onLost` is called when it cannot be read any more. */
export type OpenImage = (onLost: () => void) => Promise<HeldContainerImage>;

/** Opened once, released once, in whatever order these come. */
export class ContainerImage {
  readonly #released = Promise.withResolvers<undefined>();
  #held: HeldContainerImage | undefined;
  #isReleased = false;

  /** What is open. */
  get current(): SandboxImage | undefined {
    return this.#held?.image;
  }

  /**
   * Resolves when it is open, or was released meanwhile.
   *
   * @throws PlatformError when it cannot be read or mounted
   */
  async open(openImage: OpenImage, onLost: () => void): Promise<void> {
    const opening = openImage(() => {
      if (!this.#isReleased) onLost();
    });
    // A container that is to end does not wait for its image.
    const held = await Promise.race([opening, this.#released.promise]);
    if (held === undefined || this.#isReleased) {
      opening.then((late) => late.release(), ignored);
      return;
    }
    this.#held = held;
  }

  /** The container is ready: what it has read is what starts read. */
  started(): void {
    this.#held?.started();
  }

  release(): void {
    this.#isReleased = true;
    this.#released.resolve(undefined);
    this.#held?.release();
  }
}

/** Nobody waits for it any more. */
function ignored(): void {}
