/** The image and the volumes of one container: held from before its start until its end. */
import type { NodeImages, WantedImage } from "../images/node-images.ts";
import type { SandboxSpec } from "../runtime/runtime.ts";
import type { ContainerVolumes, VolumesListener } from "../volumes/container-volumes.ts";

/** What a container starts with, until it is released. */
interface HeldFiles {
  readonly files: Pick<SandboxSpec, "image" | "volumes">;
  /** The container is ready. */
  started(): void;
  /** It ended: what it left in its volumes is committed. */
  release(): Promise<void>;
}

/** Gets the image and volumes of a container, and tells it of them. */
export type OpenFiles = (listener: VolumesListener) => Promise<HeldFiles>;

/** How a container's files are opened; undefined for one that has the base image and no more. */
export function filesOf(
  wanted: WantedImage,
  images: Pick<NodeImages, "hold">,
  volumes: ContainerVolumes | undefined,
): OpenFiles | undefined {
  if (wanted.imageId === undefined && volumes === undefined) return undefined;
  return async (listener) => {
    const lost = (): void => listener.onLost("the process that served its image ended");
    const held = wanted.imageId === undefined ? undefined : await images.hold(wanted, lost);
    try {
      const folders = await volumes?.open(listener);
      return {
        files: {
          ...(held === undefined ? {} : { image: held.image }),
          ...(folders === undefined ? {} : { volumes: folders }),
        },
        started: () => held?.started(),
        release: async () => {
          held?.release();
          await volumes?.end();
        },
      };
    } catch (error) {
      held?.release();
      throw error;
    }
  };
}

/** Opened once, released once, in whatever order these come. */
export class ContainerImage {
  readonly #released = Promise.withResolvers<undefined>();
  #held: HeldFiles | undefined;
  #isReleased = false;

  /** What is open. */
  get current(): HeldFiles["files"] {
    return this.#held?.files ?? {};
  }

  /**
   * Resolves when it is open, or was released meanwhile.
   *
   * @throws PlatformError when it cannot be read or mounted
   */
  async open(openFiles: OpenFiles, { onLost, note }: VolumesListener): Promise<void> {
    const opening = openFiles({
      onLost: (why) => {
        if (!this.#isReleased) onLost(why);
      },
      note,
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

  /** Resolves when nothing of it is left to be done. */
  async release(): Promise<void> {
    this.#isReleased = true;
    this.#released.resolve(undefined);
    await this.#held?.release();
  }
}

/** Nobody waits for it any more. */
function ignored(): void {}
