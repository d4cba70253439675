/** Volumes on the wire: shared folders of a workspace, kept in versions. */

/** A volume that a function's containers see as a folder. */
export interface VolumeMount {
  /** Absolute path in the container, such as `/data`. */
  readonly path: string;
  /** The volume's name. */
  readonly name: string;
  /** Whether a deployment makes it when it is not there. Default false. */
  readonly createIfMissing?: boolean;
}

/** Makes a volume. */
export interface NewVolume {
  readonly name: string;
}

/** A volume as its newest version is. */
export interface VolumeSummary {
  readonly name: string;
  readonly volumeId: string;
  /** Counts up from 0, which is empty, with every commit. */
  readonly version: number;
  /** Files, folders and links. */
  readonly entryCount: number;
  /** Bytes of all files. */
  readonly bytes: number;
  readonly createdAtMs: number;
  readonly committedAtMs: number;
  /** Name of the newest version's index among `/v1/chunks`; absent while it is empty. */
  readonly contentId?: string;
}

export interface VolumeList {
  readonly volumes: readonly VolumeSummary[];
  readonly nextCursor?: string;
}

/** One version of a volume. */
export interface VolumeVersion {
  readonly version: number;
  readonly committedAtMs: number;
  /** The container that committed it, or the name of the token; absent when that is gone. */
  readonly by?: string;
  readonly changedCount: number;
  readonly removedCount: number;
  readonly entryCount: number;
  readonly bytes: number;
}

export interface VolumeHistory {
  /** Those that are kept, newest first. */
  readonly versions: readonly VolumeVersion[];
  readonly nextCursor?: string;
}

/** What one path of a volume is. */
export interface VolumeEntry {
  /** From the volume's root, without a slash in front. */
  readonly path: string;
  readonly kind: "file" | "folder" | "link";
  /** Size of a file; 0 for others. */
  readonly bytes: number;
  readonly modifiedAtMs: number;
  /** Of a file that may be run. */
  readonly executable?: boolean;
  /** Of a link. */
  readonly target?: string;
}

export interface VolumeEntryList {
  /** The version that they are of. */
  readonly version: number;
  /** By path, in the order of its bytes. */
  readonly entries: readonly VolumeEntry[];
  readonly nextCursor?: string;
}

/** The right to store chunks until they are committed. */
export interface VolumeUpload {
  readonly uploadId: string;
  /** It ends when it was not used for so long. */
  readonly idleMs: number;
}

/** Which of these chunks are not stored yet: asked, and answered. */
export interface ChunkQuestion {
  /** SHA-256 (hex) of the bytes of each, at most 10,000. */
  readonly chunkIds: readonly string[];
}

export interface ChunkAnswer {
  readonly missing: readonly string[];
}

/** Header of a frame of chunks: how long each is. */
export interface ChunksHeader {
  readonly sizes: readonly number[];
}

/** What a path is from now on. */
export type VolumeChange =
  | {
      readonly kind: "file";
      readonly path: string;
      readonly bytes: number;
      /** Its pieces of `VOLUME_PIECE_BYTES` in order, by SHA-256; `""` is all zeros. */
      readonly chunks: readonly string[];
      readonly modifiedAtMs: number;
      readonly executable?: boolean;
      /** What the writer knew at this path: see `entryMark`; absent means nothing. */
      readonly was?: string;
    }
  | {
      readonly kind: "folder";
      readonly path: string;
      readonly modifiedAtMs: number;
      readonly was?: string;
    }
  | {
      readonly kind: "link";
      readonly path: string;
      readonly target: string;
      readonly modifiedAtMs: number;
      readonly was?: string;
    };

/** A path that goes. */
export interface VolumeRemoval {
  readonly path: string;
  readonly was?: string;
  /** With all that is in it, whoever put it there. Otherwise a folder goes only once it is empty. */
  readonly recursive?: boolean;
}

/** Changes that become the next version together. */
export interface VolumeCommit {
  /** Chosen by the writer: a commit that is sent again is made once. 16 to 64 letters and digits. */
  readonly commitId: string;
  /** The upload that holds its chunks; absent when it has none. */
  readonly uploadId?: string;
  readonly changes: readonly VolumeChange[];
  readonly removals: readonly VolumeRemoval[];
}

/** What became of a commit. */
export interface CommitReport {
  /** The version that has it; the newest one when nothing changed. */
  readonly version: number;
  readonly changedCount: number;
  readonly removedCount: number;
  /** Paths that somebody else had changed since the writer saw them; at most 1,000 are named. */
  readonly overwritten: readonly string[];
}

/** What a container was told of its commit. */
export interface ContainerCommitReport extends CommitReport {
  /** Paths that no volume keeps: devices, sockets, FIFOs, names that are no UTF-8. */
  readonly skipped: readonly string[];
}

/** What a reload changed in a container. */
export interface ReloadReport {
  readonly version: number;
  readonly changedCount: number;
  readonly removedCount: number;
}

/** Volumes that one function may have. */
export const VOLUMES_PER_FUNCTION_MAX = 8;
/** Files, folders and links in one volume. */
export const VOLUME_ENTRIES_MAX = 100_000;
/** Bytes of one file. */
export const VOLUME_FILE_BYTES_MAX = 64 * 1024 ** 3;
/** Bytes of all files of one volume. */
export const VOLUME_BYTES_MAX = 1024 ** 4;
/** Bytes of every piece of a file but its last. */
export const VOLUME_PIECE_BYTES = 1024 * 1024;
/** Bytes of the JSON of one commit. */
export const VOLUME_COMMIT_BYTES_MAX = 32 * 1024 * 1024;
