/** The runtime port: starts one isolated process and gives its ends. */
import type { Duplex, Readable, Writable } from "node:stream";
import type { Isolation, ResourceLimits, Resources } from "../../core/index.ts";
import type { WrittenFolders } from "../images/pack/pack-written.ts";
import type { SavedImage } from "./plain-image.ts";

/** What runs the user's code. */
export type RunnerKind = "node" | "python";
/** The root file system of an image, with the platform's Node in it. */
export interface SandboxImage {
  readonly rootfs: string;
  /** Absolute path of its Node. */
  readonly node: string;
  /** Folder to start in; absent means the temporary one. */
  readonly workdir?: string;
  /** By what it can be had again, from the node's images; absent where it cannot. */
  readonly source?: ImageSource;
}

/** An image as the server knows it, and the name of its files' index. */
export interface ImageSource {
  /** Two workspaces may have the same image, and share no sandbox that has run it. */
  readonly workspaceId: string;
  readonly imageId: string;
  readonly contentId: string;
}

export interface SandboxSpec {
  readonly containerId: string;
  /** Node unless given. */
  readonly runner?: RunnerKind;
  /** What is reserved for it. */
  readonly resources: Resources;
  /** Most that it may use, where that is not what follows from what it reserves. */
  readonly limits?: ResourceLimits;
  /** Environment of the runner itself; the user's comes over the channel. */
  readonly env: Readonly<Record<string, string>>;
  /** Hosts that it may reach, as patterns; absent means no network. */
  readonly allowHosts?: readonly string[];
  /** Folder of this machine with the socket of its proxy, mounted at `EGRESS_MOUNT`. */
  readonly egressDir?: string;
  /** What it runs in; absent means the base image. */
  readonly image?: SandboxImage;
  /** Most that it may write to its root, to the disk of its own; absent means a read-only root. */
  readonly diskMiB?: number;
  /** Cards of this node that it is given, by their numbers here; absent means none. */
  readonly cards?: readonly number[];
  /** Folders of this machine that it may write to, each at its path. */
  readonly volumes?: readonly { readonly source: string; readonly path: string }[];
}

/** Where a sandbox finds the folder of its proxy. */
export const EGRESS_MOUNT = "/run/flotilla";

export interface SandboxExit {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly outOfMemory: boolean;
}

/** What a sandbox has used, as its machine counts it. */
export interface SandboxUse {
  /** Core-milliseconds since its start. */
  readonly cpuMs: number;
  /** Held now. */
  readonly memoryMiB: number;
}

/** A started sandbox. */
export interface RunningSandbox {
  /** Full-duplex; the process has it as its standard input. */
  readonly channel: Duplex;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves once, when the sandbox and all in it are gone. */
  readonly exited: Promise<SandboxExit>;
  /** Ends it at once; `exited` tells when. */
  kill(): void;
  /** What it has used; undefined when that is not known. Absent where nobody counts. */
  readonly use?: () => SandboxUse | undefined;
  /**
   * It was made ahead, and is this container's from now on: what is written of it elsewhere names
   * that one, and what waited for its container begins. Absent where nothing is written or waits.
   */
  becomes?: (containerId: string) => void;
  /**
   * Runs a program in a terminal beside what runs in it, with its rights, in the folder it starts in: by the native
   * program's `shell` (sandbox/runners/guest/guest.c). Absent where there is none.
   */
  readonly attach?: (command: readonly string[]) => AttachedProgram;
  /** Where what it writes to its root is; absent where it may not write there. */
  readonly written?: WrittenFolders;
}

/** A program that was attached; its input is the frames of `guest.c`. */
export interface AttachedProgram {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Its exit code, once all that it wrote was read. Rejects when it cannot be started. */
  readonly exited: Promise<number>;
  /** Ends it at once. */
  kill(): void;
}

/** What a runtime's images are like. */
export interface ImageTraits {
  /** What an image depends on beside its content: the program that made it, the processor. */
  readonly fingerprint: string;
  /**
   * What is restored is not told that something can be read from its channel, though it can be
   * read.
   */
  readonly restoredAreDeaf: boolean;
  /** Images of sandboxes with real cards; absent on a node without. */
  readonly gpus?:
    | {
        readonly kind: "kept";
        /** What such images depend on beside the rest: the kind of the cards, their driver. */
        readonly fingerprint: string;
      }
    | { readonly kind: "lost"; readonly reason: string };
}

/** Whether a runtime can keep the memory of a sandbox in files, and start others from these. */
export type MemoryImages =
  | { readonly kind: "unsupported"; readonly reason: string }
  | {
      readonly kind: "supported";
      /** Finds out what the images are like. @throws PlatformError `unavailable` */
      probe(): Promise<ImageTraits>;
      /**
       * Writes the memory of a running sandbox into an empty folder; the sandbox ends by it.
       *
       * @throws PlatformError `unavailable` when it cannot be written; the sandbox may live on.
       */
      save(
        sandbox: Pick<SandboxSpec, "containerId" | "cards">,
        imageDir: string,
      ): Promise<SavedImage>;
      /**
       * Starts a sandbox as it was when the image was made. It may fail later, as `exited` tells,
       * or never answer. @throws PlatformError `unavailable`
       */
      restore(spec: SandboxSpec, imageDir: string): Promise<RunningSandbox>;
    };

export interface Runtime {
  readonly isolation: Isolation;
  readonly images: MemoryImages;
  /** Starts the runner in a fresh sandbox. @throws PlatformError `unavailable` */
  start(spec: SandboxSpec): Promise<RunningSandbox>;
  /**
   * Makes a fresh sandbox whose runner starts once `becomes` tells whose it is. Absent where that
   * is no different from a start. @throws PlatformError `unavailable`
   */
  readonly create?: (spec: SandboxSpec) => Promise<RunningSandbox>;
}
