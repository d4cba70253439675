/** Asks a server on a fake platform, without a socket; for tests. */
import { createHash } from "node:crypto";
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from "fastify";
import { encodeFrame, FRAME_MEDIA_TYPE, type Problem } from "../../sdk/protocol/index.ts";
import { createFakePlatform, type FakePlatform } from "./fake-services.ts";
import { PROBLEM_MEDIA_TYPE } from "./problem.ts";
import { buildHttpServer } from "./server.ts";
import { problemSchema } from "./wire-schemas.ts";

export const FUNCTION_ID = `fn_${"0".repeat(26)}`;
export const CALL_ID = `ca_${"a".repeat(26)}`;
export const CALLS = `/v1/functions/${FUNCTION_ID}/calls`;
export const CODE = Buffer.from("export const square = (x) => x * x;");
export const CODE_SHA256 = createHash("sha256").update(CODE).digest("hex");
export const ABC = Buffer.from("abc");

export interface FakeClient {
  readonly app: FastifyInstance;
  readonly platform: FakePlatform;
  /** Sends with a user's token unless another is given. */
  send(options: InjectOptions, token?: string): Promise<LightMyRequestResponse>;
  sendFrame(
    url: string,
    header: unknown,
    bodies?: readonly Uint8Array[],
  ): Promise<LightMyRequestResponse>;
  putBlob(sha256: string, payload: Buffer): Promise<LightMyRequestResponse>;
  /** Uploads `CODE` and deploys the app `demo` with the function `square`. */
  deploy(changed?: Readonly<Record<string, unknown>>): Promise<LightMyRequestResponse>;
}

/** A server on a fresh fake platform, and how to ask it. */
export async function createFakeClient(): Promise<FakeClient> {
  const platform = await createFakePlatform();
  const app = buildHttpServer(platform.options);
  const send = async (options: InjectOptions, token = platform.userToken) =>
    app.inject({ ...options, headers: { authorization: `Bearer ${token}`, ...options.headers } });
  const putBlob = async (sha256: string, payload: Buffer) =>
    send({
      method: "PUT",
      url: `/v1/blobs/${sha256}`,
      headers: { "content-type": "application/octet-stream" },
      payload,
    });
  return {
    app,
    platform,
    send,
    putBlob,
    sendFrame: async (url, header, bodies = []) =>
      send({
        method: "POST",
        url,
        headers: { "content-type": FRAME_MEDIA_TYPE },
        payload: Buffer.from(encodeFrame(header, bodies)),
      }),
    deploy: async (changed = {}) => {
      await putBlob(CODE_SHA256, CODE);
      const functions = [{ name: "square", spec: { gpu: "H100" } }];
      const request = { mode: "deployed", codeSha256: CODE_SHA256, functions, ...changed };
      return send({ method: "POST", url: "/v1/apps/demo/deployments", payload: request });
    },
  };
}

/** The problem that an answer is. @throws Error when it is not one with this status and code. */
export function refused(answer: LightMyRequestResponse, status: number, code: string): Problem {
  const problem = problemIn(answer);
  if (problem.status === status && problem.code === code) return problem;
  throw new Error(`wanted ${status} ${code}, got ${answer.body}`);
}

/** The problem that an answer is. @throws Error when it is none, or contradicts its own status. */
export function problemIn(answer: LightMyRequestResponse): Problem {
  if (answer.headers["content-type"] !== PROBLEM_MEDIA_TYPE) {
    throw new Error(`no problem but ${answer.statusCode} ${answer.body.slice(0, 500)}`);
  }
  const problem = problemSchema.parse(answer.json());
  if (problem.status !== answer.statusCode || !/^re_[a-z0-9]{26}$/.test(problem.requestId)) {
    throw new Error(`the problem contradicts its answer: ${answer.body}`);
  }
  return problem;
}

/** Header of a single call of three bytes. */
export function callHeader(
  changed: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  return { callId: CALL_ID, kind: "single", sizes: [3], final: true, waitMs: 0, ...changed };
}
