/** A volume of a container, as the server names it in the container's start. */
export interface VolumeStart {
  /** Where the container has it. */
  readonly path: string;
  readonly name: string;
  /** Which volume of that name: one that was deleted and made anew is another. */
  readonly volumeId: string;
  /** The version that it begins with. */
  readonly version: number;
  /** Name of that version's index among the server's chunks; absent when it is empty. */
  readonly contentId?: string;
  /** With this an agent may commit to it, also after its container has gone. */
  readonly grant: string;
}

/** Header of requests that an agent makes for a volume: its grant. */
export const VOLUME_GRANT_HEADER = "x-flotilla-volume";
