import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { Clock, IdSource } from "../../core/index.ts";
import type { Authenticator } from "../auth/tokens.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { Services } from "../services.ts";
import type { RecordStore } from "../store/record-store.ts";
import type { Metrics } from "./metrics.ts";
import type { OpenRequests } from "./open-requests.ts";

/** A server whose schemas are zod's. */
export type ApiServer = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** What the routes stand on. */
export interface RouteDeps {
  readonly services: Services;
  readonly store: Pick<RecordStore, "registry" | "blobOwners">;
  readonly authenticator: Authenticator;
  readonly blobs: BlobStore;
  /** Where payloads are kept while a call names them. */
  readonly payloadBlobs: BlobStore;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly metrics: Metrics;
  readonly openRequests: OpenRequests;
  readonly version: string;
}
