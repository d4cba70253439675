/**
 * Objects of an S3-compatible store, by key below a prefix.
 *
 * The client library retries what is worth it (throttles, 5xx, broken connections) and signs;
 * answers are translated here. Objects are written whole by one request each, so a reader sees
 * all of an object or nothing; that a body was cut off is found by who verifies it.
 */
import type { S3Client } from "@aws-sdk/client-s3";
import { messageOf, PlatformError } from "../../core/index.ts";

export interface S3Options {
  readonly bucket: string;
  /** Begins the name of every object; without a slash at its end. */
  readonly prefix: string;
  /** Address of the store; Amazon's own for the region when absent. */
  readonly endpoint?: string;
  /** Found as Amazon's tools find it when absent. */
  readonly region?: string;
  /** Found as Amazon's tools find them when absent. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Tries of one request; 3 unless given. */
  readonly attemptsMax?: number;
}

/** An object as it is listed. */
export interface S3Object {
  readonly key: string;
  readonly byteCount: number;
  readonly storedAtMs: number;
}

const DEFAULT_REGION = "us-east-1";
const ATTEMPTS_MAX = 3;
const REQUEST_MS_MAX = 10_000;
/** Objects that one request may remove. Source: S3 API, DeleteObjects (read 2026-11). */
const REMOVED_AT_ONCE_MAX = 1_000;

/** The bucket and prefix in `s3://bucket/prefix`; undefined for any other text. */
export function parseS3Url(url: string): Pick<S3Options, "bucket" | "prefix"> | undefined {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([^?#]*?))?\/?$/.exec(url);
  const [, bucket, prefix = ""] = match ?? [];
  return bucket === undefined ? undefined : { bucket, prefix };
}

/** Opens a store; nothing is asked of it yet. */
export async function openS3Objects(options: S3Options): Promise<S3Objects> {
  const { endpoint, credentials, attemptsMax = ATTEMPTS_MAX } = options;
  // Stores other than Amazon's take any region.
  const region = options.region ?? (endpoint === undefined ? undefined : DEFAULT_REGION);
  // Loaded when it is used: agents and small platforms never do.
  const sdk = await import("@aws-sdk/client-s3");
  const client = new sdk.S3Client({
    ...(region === undefined ? {} : { region }),
    maxAttempts: attemptsMax,
    requestHandler: { requestTimeout: REQUEST_MS_MAX, connectionTimeout: REQUEST_MS_MAX },
    // Checksums that stores other than Amazon's may not know; chunks are verified by their name.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    ...(credentials === undefined ? {} : { credentials }),
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
  });
  return new S3Objects(client, sdk, options);
}

type Sdk = typeof import("@aws-sdk/client-s3");

/**
 * Objects below a prefix. Every method throws PlatformError: `unavailable` when the store cannot
 * be reached, `auth_failed` when it refuses us, `not_found` when there is no such bucket.
 */
export class S3Objects {
  readonly #client: S3Client;
  readonly #sdk: Sdk;
  readonly #bucket: string;
  readonly #start: string;

  /** See `openS3Objects`. */
  constructor(client: S3Client, sdk: Sdk, { bucket, prefix }: S3Options) {
    this.#client = client;
    this.#sdk = sdk;
    this.#bucket = bucket;
    this.#start = prefix === "" ? "" : `${prefix}/`;
  }

  /** The object, or undefined when there is none; one above `byteCountMax` is not read. */
  async get(key: string, byteCountMax: number): Promise<Uint8Array | undefined> {
    return this.#asking(`reading ${key}`, async () => {
      const command = new this.#sdk.GetObjectCommand(this.#place(key));
      const found = await this.#client.send(command).catch(absentIsUndefined);
      if (found?.Body === undefined) return undefined;
      const byteCount = found.ContentLength ?? 0;
      if (byteCount > byteCountMax) throw new Error(`it has ${byteCount} bytes, which is too many`);
      return await found.Body.transformToByteArray();
    });
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    await this.#asking(`storing ${key}`, () =>
      this.#client.send(new this.#sdk.PutObjectCommand({ ...this.#place(key), Body: bytes })),
    );
  }

  async has(key: string): Promise<boolean> {
    return this.#asking(`looking for ${key}`, async () => {
      const command = new this.#sdk.HeadObjectCommand(this.#place(key));
      return (await this.#client.send(command).catch(absentIsUndefined)) !== undefined;
    });
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (let start = 0; start < keys.length; start += REMOVED_AT_ONCE_MAX) {
      const some = keys.slice(start, start + REMOVED_AT_ONCE_MAX);
      await this.#asking(`removing ${some.length} objects`, async () => {
        const Objects = some.map((key) => ({ Key: this.#start + key }));
        const Delete = { Objects, Quiet: true };
        const command = new this.#sdk.DeleteObjectsCommand({ Bucket: this.#bucket, Delete });
        const { Errors = [] } = await this.#client.send(command);
        const [first] = Errors.filter(({ Code }) => Code !== "NoSuchKey");
        if (first !== undefined) throw new Error(`${first.Key}: ${first.Code} ${first.Message}`);
      });
    }
  }

  /** All objects below the prefix, in the order of their keys. */
  async *list(): AsyncIterable<S3Object> {
    let token: string | undefined;
    do {
      const after = token === undefined ? {} : { ContinuationToken: token };
      const page = await this.#asking("listing objects", () =>
        this.#client.send(
          new this.#sdk.ListObjectsV2Command({
            Bucket: this.#bucket,
            Prefix: this.#start,
            ...after,
          }),
        ),
      );
      for (const { Key = "", Size = 0, LastModified } of page.Contents ?? []) {
        const key = Key.slice(this.#start.length);
        yield { key, byteCount: Size, storedAtMs: LastModified?.getTime() ?? 0 };
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  close(): void {
    this.#client.destroy();
  }

  #place(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#bucket, Key: this.#start + key };
  }

  async #asking<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw translated(`${doing} in bucket ${this.#bucket}`, error);
    }
  }
}

/** What is not there is no failure. A missing bucket is one, and HEAD cannot tell them apart. */
function absentIsUndefined(error: unknown): undefined {
  const name = error instanceof Error ? error.name : "";
  if (name === "NoSuchKey" || name === "NotFound") return undefined;
  throw error;
}

function translated(doing: string, error: unknown): PlatformError {
  const status = statusOf(error);
  const isRefused = status === 401 || status === 403;
  const isWrong = error instanceof Error && error.name === "NoSuchBucket";
  return new PlatformError(`${doing} failed: ${messageOf(error)}`, {
    code: isRefused ? "auth_failed" : isWrong ? "not_found" : "unavailable",
    retryable: !isRefused && !isWrong,
    details: { status },
    cause: error,
  });
}

/** The HTTP status that a failure of the client library carries. */
function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("$metadata" in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== "object" || metadata === null) return undefined;
  const status = "httpStatusCode" in metadata ? metadata.httpStatusCode : undefined;
  return typeof status === "number" ? status : undefined;
}
