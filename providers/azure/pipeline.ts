/**
 * What we change in the pipelines of the Azure clients.
 *
 * - Bearer tokens over http are refused by the SDK itself; an emulator on this machine may have
 *   them, and nobody else.
 * - A failed operation is thrown as a plain error without a code, whose text names the innermost
 *   code only: the document that said so is kept, so that the code can be looked up.
 * - `Retry-After` makes the SDK sleep inside its call for as long as it says; our own rate
 *   limiter waits instead, so the header is moved out of the SDK's sight.
 * - Requests that follow links (pages, operations) take no options: every request gets a time
 *   limit of its own, so that a server that never answers holds no socket for ever.
 *
 * - A page of a proxy with status 200 would be taken for an answer without members.
 *
 * Source: the behaviour of @azure/arm-compute 25.1 and @azure/core-lro 3.3, held by tests.
 */
import type { ComputeManagementClient } from "@azure/arm-compute";
import { PlatformError } from "../../core/index.ts";
import { CHANGE_DEADLINE_MS } from "../rate-limit.ts";
import { foreignAnswer, RETRY_AFTER_HEADER } from "./translate.ts";

/** What the SDKs ask tokens of; a part of the `TokenCredential` of @azure/core-auth. */
export interface AzureCredential {
  getToken(
    scopes: string | string[],
  ): Promise<{ readonly token: string; readonly expiresOnTimestamp: number } | null>;
}

/** A pipeline, as both management clients have it. */
export type Pipeline = ComputeManagementClient["pipeline"];
type Policy = Parameters<Pipeline["addPolicy"]>[0];

/** Where the scopes of tokens begin on the public Azure. */
const SCOPE = "https://management.azure.com/.default";

/** Documents of failed operations by their address, without the query. */
export class OperationErrors {
  readonly #documents = new Map<string, unknown>();

  note(url: string, document: unknown): void {
    this.#documents.set(addressOf(url), document);
  }

  /** The document of an operation that failed, which is forgotten then. */
  take(url: string): unknown {
    const address = addressOf(url);
    const document = this.#documents.get(address);
    this.#documents.delete(address);
    return document;
  }
}

/** Sets up the pipeline of one client. */
export function adaptPipeline(
  pipeline: Pipeline,
  { credential, errors, isPlain }: PipelineParts,
): void {
  if (isPlain) {
    pipeline.removePolicy({ name: "bearerTokenAuthenticationPolicy" });
    pipeline.addPolicy(plainBearer(credential), { phase: "Sign" });
  }
  pipeline.addPolicy(timeLimit());
  pipeline.addPolicy(hideRetryAfter(), { afterPhase: "Retry" });
  pipeline.addPolicy(refuseForeign(), { afterPhase: "Retry" });
  pipeline.addPolicy(keepFailures(errors), { afterPhase: "Retry" });
}

export interface PipelineParts {
  readonly credential: AzureCredential;
  readonly errors: OperationErrors;
  /** Whether the endpoint is plain http on this machine. */
  readonly isPlain: boolean;
}

/**
 * Whether an endpoint is plain http, which only this machine may be.
 *
 * @throws PlatformError `invalid_request` for plain http elsewhere: a token would be readable.
 */
export function isPlainHttp(endpoint: string | undefined): boolean {
  if (endpoint === undefined || endpoint.startsWith("https://")) return false;
  const { hostname } = new URL(endpoint);
  if (["127.0.0.1", "localhost", "[::1]"].includes(hostname)) return true;
  throw new PlatformError(
    `cannot use the Azure endpoint ${endpoint}: tokens are sent over https, and over plain http ` +
      "to this machine alone; use an https address",
    { code: "invalid_request", retryable: false, details: { endpoint } },
  );
}

function plainBearer(credential: AzureCredential): Policy {
  return {
    name: "flotillaPlainBearer",
    sendRequest: async (request, next) => {
      const granted = await credential.getToken(SCOPE);
      request.headers.set("authorization", `Bearer ${granted?.token ?? ""}`);
      return next(request);
    },
  };
}

function timeLimit(): Policy {
  return {
    name: "flotillaTimeLimit",
    sendRequest: (request, next) => {
      if (request.timeout === 0) request.timeout = CHANGE_DEADLINE_MS;
      return next(request);
    },
  };
}

function hideRetryAfter(): Policy {
  return {
    name: "flotillaRetryAfter",
    sendRequest: async (request, next) => {
      const response = await next(request);
      const said = response.headers.get("retry-after");
      if (response.status < 400 || said === undefined) return response;
      response.headers.delete("retry-after");
      const waitMs = /^\d+$/.test(said) ? Number(said) * 1000 : undefined;
      if (waitMs !== undefined) response.headers.set(RETRY_AFTER_HEADER, String(waitMs));
      return response;
    },
  };
}

function refuseForeign(): Policy {
  return {
    name: "flotillaForeignAnswers",
    sendRequest: async (request, next) => {
      const response = await next(request);
      const { bodyAsText, status } = response;
      if (status >= 300 || bodyAsText === undefined || bodyAsText === null) return response;
      if (bodyAsText === "" && status !== 200) return response;
      const body = jsonOf(bodyAsText);
      if (typeof body === "object" && body !== null) return response;
      throw foreignAnswer(`${request.method} ${addressOf(request.url)}`, { httpStatus: status });
    },
  };
}

function keepFailures(errors: OperationErrors): Policy {
  return {
    name: "flotillaOperationErrors",
    sendRequest: async (request, next) => {
      const response = await next(request);
      if (!/\/operations\//i.test(request.url)) return response;
      const document = jsonOf(response.bodyAsText);
      if (isFailed(document)) errors.note(request.url, document);
      return response;
    },
  };
}

function isFailed(document: unknown): boolean {
  return (
    typeof document === "object" &&
    document !== null &&
    "status" in document &&
    (document.status === "Failed" || document.status === "Canceled")
  );
}

function jsonOf(text: string | null | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function addressOf(url: string): string {
  return url.split("?")[0] ?? url;
}
