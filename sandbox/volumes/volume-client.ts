/** What a node agent asks the server about one volume, with the grant that came for it. */
import { messageOf, PlatformError, type ErrorCode } from "../../core/index.ts";
import {
  encodeFrame,
  FRAME_MEDIA_TYPE,
  type ChunkAnswer,
  type CommitReport,
  type VolumeCommit,
  type VolumeSummary,
  type VolumeUpload,
} from "../../sdk/protocol/index.ts";
import type { KeptPiece, Piece } from "./cut-pieces.ts";
import { VOLUME_GRANT_HEADER, type VolumeStart } from "./volume-start.ts";

export interface VolumeClientOptions {
  readonly serverUrl: string;
  /** The bearer token of now. */
  readonly token: () => string;
  /** Longest that one request may take. */
  readonly timeoutMs?: number;
}

/** A volume on the server. Every method throws PlatformError, `unavailable` without a server. */
export interface VolumeClient {
  head(): Promise<VolumeSummary>;
  /** Begins to store chunks. */
  upload(): Promise<PieceUpload>;
  commit(commit: VolumeCommit): Promise<CommitReport>;
}

/** Chunks on their way to the server, some at a time. */
export interface PieceUpload {
  readonly uploadId: string;
  add(piece: Piece | KeptPiece): Promise<void>;
  /** Sends what is left. */
  finish(): Promise<void>;
}

const TIMEOUT_MS = 30_000;
const BATCH_BYTES = 8 * 1024 * 1024;
const BATCH_PIECES = 256;
/** Codes of the server's problems that mean here what they mean there. */
const CODES: readonly ErrorCode[] = [
  ...(["not_found", "conflict", "invalid_request", "payload_too_large"] as const),
];

export type OpenVolumeClient = (volume: Pick<VolumeStart, "name" | "grant">) => VolumeClient;

/** Gives clients of the server's volumes. */
export function volumeClients(options: VolumeClientOptions): OpenVolumeClient {
  return ({ name, grant }) => {
    const base = `/v1/volumes/${encodeURIComponent(name)}`;
    const ask = (method: string, path: string, body?: Body): Promise<unknown> =>
      request(options, { method, path: base + path, grant, name, ...(body ? { body } : {}) });
    return {
      head: async () => (await ask("GET", "")) as VolumeSummary,
      upload: async () => {
        const { uploadId } = (await ask("POST", "/uploads")) as VolumeUpload;
        return createUpload(uploadId, (path, body) => ask("POST", path, body));
      },
      commit: async (commit) => (await ask("POST", "/commits", json(commit))) as CommitReport,
    };
  };
}

interface Body {
  readonly type: string;
  readonly bytes: Uint8Array | string;
}

function json(value: unknown): Body {
  return { type: "application/json", bytes: JSON.stringify(value) };
}

function createUpload(
  uploadId: string,
  post: (path: string, body: Body) => Promise<unknown>,
): PieceUpload {
  let waiting: (Piece | KeptPiece)[] = [];
  let byteCount = 0;
  const send = async (bodies: readonly Uint8Array[]): Promise<void> => {
    if (bodies.length === 0) return;
    const sizes = bodies.map((bytes) => bytes.byteLength);
    const frame = encodeFrame({ sizes }, bodies);
    await post(`/uploads/${uploadId}/chunks`, { type: FRAME_MEDIA_TYPE, bytes: frame });
  };
  const flush = async (): Promise<void> => {
    const pieces = new Map(waiting.map((piece) => [piece.id, piece]));
    waiting = [];
    byteCount = 0;
    if (pieces.size === 0) return;
    const question = json({ chunkIds: [...pieces.keys()] });
    const path = `/uploads/${uploadId}/missing`;
    const { missing } = (await post(path, question)) as ChunkAnswer;
    let bodies: Uint8Array[] = [];
    // Of kept ones it is not known before how large they are.
    for (const piece of missing.flatMap((id) => pieces.get(id) ?? [])) {
      bodies.push(await bytesOf(piece));
      if (bodies.reduce((sum, bytes) => sum + bytes.byteLength, 0) < BATCH_BYTES) continue;
      await send(bodies);
      bodies = [];
    }
    await send(bodies);
  };
  return {
    uploadId,
    add: async (piece) => {
      waiting.push(piece);
      byteCount += "load" in piece ? 0 : piece.bytes.byteLength;
      if (byteCount >= BATCH_BYTES || waiting.length >= BATCH_PIECES) await flush();
    },
    finish: flush,
  };
}

async function bytesOf(piece: Piece | KeptPiece): Promise<Uint8Array> {
  return "load" in piece ? piece.load() : piece.bytes;
}

async function request(
  { serverUrl, token, timeoutMs = TIMEOUT_MS }: VolumeClientOptions,
  asked: {
    readonly method: string;
    readonly path: string;
    readonly grant: string;
    readonly name: string;
    readonly body?: Body;
  },
): Promise<unknown> {
  const { method, path, grant, name, body } = asked;
  const doing = `reaching volume ${name} on ${serverUrl}`;
  try {
    const response = await fetch(serverUrl + path, {
      method,
      redirect: "error",
      headers: {
        authorization: `Bearer ${token()}`,
        [VOLUME_GRANT_HEADER]: grant,
        ...(body === undefined ? {} : { "content-type": body.type }),
      },
      ...(body === undefined ? {} : { body: sent(body.bytes) }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await response.text();
    if (response.ok) return text === "" ? undefined : JSON.parse(text);
    throw refusal(doing, response.status, text);
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    throw new PlatformError(`${doing} failed: ${reasonOf(error)}`, {
      code: "unavailable",
      retryable: true,
      cause: error,
    });
  }
}

function sent(bytes: Uint8Array | string): string | Uint8Array<ArrayBuffer> {
  return typeof bytes === "string" ? bytes : new Uint8Array(bytes);
}

/** `fetch` says "fetch failed", and why in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? messageOf(error) : messageOf(cause);
}

/** A problem of the server, as an error of ours. */
function refusal(doing: string, status: number, text: string): PlatformError {
  const problem = problemIn(text);
  const code = CODES.find((known) => known === problem.code) ?? "unavailable";
  return new PlatformError(problem.detail ?? `${doing} gave HTTP ${status}`, {
    code,
    retryable: code === "unavailable" || problem.retryable === true,
    details: { status },
  });
}

interface Problem {
  readonly code?: string;
  readonly detail?: string;
  readonly retryable?: boolean;
}

function problemIn(text: string): Problem {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    // Whatever stands between us and the server answered in its own words.
    return {};
  }
}
