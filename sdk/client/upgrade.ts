/** A connection to the server that goes on as bytes both ways. */
import type { Duplex } from "node:stream";
import { ServerUnreachableError } from "../errors.ts";
import { WORKSPACE_HEADER } from "../protocol/workspace.ts";
import type { Connection } from "./connection.ts";
import { refusalOf } from "./problems.ts";

/** A refusal is read so far. */
const PROBLEM_CHARACTERS_MAX = 64 * 1024;

/**
 * Asks the server to go on with another protocol.
 *
 * @param path From `/v1` on, with its query.
 * @throws the errors of `errors.ts` when it will not.
 */
export async function upgradeConnection(
  { serverUrl, token, workspace }: Connection,
  path: string,
  protocol: string,
): Promise<Duplex> {
  const { request } = await (serverUrl.startsWith("https:")
    ? import("node:https")
    : import("node:http"));
  const asked = request(serverUrl + path, {
    // One of its own: it is never given back.
    agent: false,
    headers: {
      authorization: `Bearer ${token}`,
      connection: "upgrade",
      upgrade: protocol,
      ...(workspace === undefined ? {} : { [WORKSPACE_HEADER]: workspace }),
    },
  });
  return new Promise((resolve, reject) => {
    asked.once("upgrade", (_answer, socket, rest) => {
      if (rest.byteLength > 0) socket.unshift(rest);
      resolve(socket);
    });
    asked.once("response", (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (text: string) => {
        if (body.length < PROBLEM_CHARACTERS_MAX) body += text;
      });
      answer.once("close", () => {
        const header = (name: string): string | undefined => answer.headers[name]?.toString();
        reject(refusalOf({ status: answer.statusCode ?? 0, header }, body).error);
      });
    });
    asked.once("error", (cause) => {
      reject(new ServerUnreachableError(`no server answers at ${serverUrl}: ${cause.message}`));
    });
    asked.end();
  });
}
