/**
 * The control endpoint of an emulator: what can be set in the process, over HTTP.
 *
 * Bodies are JSON with `content-type: application/json`, which a foreign page in a browser
 * cannot send here without a preflight that is never answered.
 */
import { z } from "zod";
import { PlatformError } from "../../../core/index.ts";
import { jsonAnswer, type WholeAnswer, type WholeRequest } from "./loopback-server.ts";

/** Where every control endpoint begins. */
export const CONTROL_PREFIX = "/_emulator/";

/** What each `METHOD name` does; `body` is undefined but for POST. */
export type ControlRoutes = Readonly<Record<string, (body: unknown) => unknown>>;

/** Does one control request: 200 with an object, or 400, 404, 415 with `{ "error" }`. */
export function answerControl(routes: ControlRoutes, request: WholeRequest): WholeAnswer {
  const name = `${request.method} ${request.url.pathname.slice(CONTROL_PREFIX.length)}`;
  const route = routes[name];
  if (route === undefined) {
    const error = `no route ${name}; there are: ${Object.keys(routes).sort().join(", ")}`;
    return jsonAnswer(404, { error });
  }
  const hasBody = request.method === "POST";
  if (hasBody && !request.header("content-type").startsWith("application/json")) {
    return jsonAnswer(415, { error: "send a body with content-type: application/json" });
  }
  try {
    return jsonAnswer(200, route(hasBody ? JSON.parse(request.body) : undefined) ?? {});
  } catch (error) {
    return jsonAnswer(400, { error: whatIsWrong(error) });
  }
}

/** What is wrong with the input; anything that is not about the input is thrown on. */
function whatIsWrong(error: unknown): string {
  if (error instanceof z.ZodError) return z.prettifyError(error);
  if (error instanceof PlatformError || error instanceof SyntaxError) return error.message;
  throw error;
}
