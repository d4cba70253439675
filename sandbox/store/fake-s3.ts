/**
 * An S3-compatible store in memory that fails as told: errors, answers cut off, silence. It
 * knows the five operations that `s3-tier.ts` uses, and checks no signature.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What becomes of the next requests. */
export type S3Fault =
  | { readonly kind: "status"; readonly status: number; readonly code: string }
  /** The connection breaks in the middle of the answer's body. */
  | { readonly kind: "cut" }
  /** What was asked is done, and the connection is closed without an answer. */
  | { readonly kind: "unanswered" }
  /** The connection is closed without an answer. */
  | { readonly kind: "reset" };

const PAGE = 100;

export class FakeS3 {
  readonly objects = new Map<string, Buffer>();
  /** Struck in order, one for each request. */
  readonly faults: S3Fault[] = [];
  requestCount = 0;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      void this.#answer(request, response);
    });
  }

  static async open(): Promise<FakeS3> {
    const fake = new FakeS3();
    await new Promise<void>((resolve) => fake.#server.listen(0, "127.0.0.1", resolve));
    return fake;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requestCount += 1;
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    const fault = this.faults.shift();
    if (fault?.kind === "reset") {
      request.socket.destroy();
      return;
    }
    if (fault?.kind === "status") {
      sendError(response, fault.status, fault.code);
      return;
    }
    const url = new URL(request.url ?? "/", this.endpoint);
    const key = decodeURIComponent(url.pathname.split("/").slice(2).join("/"));
    const isHead = request.method === "HEAD";
    if (fault?.kind === "unanswered") {
      this.#change(request.method, key, body);
      request.socket.destroy();
    } else if (this.#change(request.method, key, body)) {
      sendXml(response, "<DeleteResult></DeleteResult>");
    } else if (url.searchParams.has("list-type")) this.#list(url.searchParams, response);
    else this.#give(key, isHead, fault?.kind === "cut", response);
  }

  /** Stores or removes; whether that was asked. */
  #change(method: string | undefined, key: string, body: Buffer): boolean {
    if (method === "PUT") this.objects.set(key, body);
    else if (method === "POST") this.#remove(body);
    else return false;
    return true;
  }

  #give(key: string, isHead: boolean, isCut: boolean, response: ServerResponse): void {
    const object = this.objects.get(key);
    if (object === undefined) {
      sendError(response, 404, "NoSuchKey");
      return;
    }
    response.writeHead(200, { "content-length": object.byteLength, etag: '"e"' });
    if (isHead) response.end();
    else if (isCut) {
      response.write(object.subarray(0, object.byteLength / 2), () => response.destroy());
    } else response.end(object);
  }

  #remove(body: Buffer): void {
    for (const [, key = ""] of body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)) {
      this.objects.delete(key);
    }
  }

  #list(query: URLSearchParams, response: ServerResponse): void {
    const prefix = query.get("prefix") ?? "";
    const after = query.get("continuation-token") ?? "";
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after);
    const page = keys.sort().slice(0, PAGE);
    const isTruncated = keys.length > PAGE;
    const contents = page.map((key) => {
      const size = this.objects.get(key)?.byteLength ?? 0;
      const time = "2026-01-01T00:00:00.000Z";
      return `<Contents><Key>${key}</Key><Size>${size}</Size><LastModified>${time}</LastModified></Contents>`;
    });
    const next = isTruncated
      ? `<NextContinuationToken>${page.at(-1) ?? ""}</NextContinuationToken>`
      : "";
    const head = `<IsTruncated>${isTruncated}</IsTruncated>${next}`;
    sendXml(response, `<ListBucketResult>${head}${contents.join("")}</ListBucketResult>`);
  }
}

function sendXml(response: ServerResponse, xml: string): void {
  response.writeHead(200, { "content-type": "application/xml" }).end(xml);
}

function sendError(response: ServerResponse, status: number, code: string): void {
  const xml = `<Error><Code>${code}</Code><Message>as told</Message></Error>`;
  response.writeHead(status, { "content-type": "application/xml" }).end(xml);
}
