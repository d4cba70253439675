/**
 * Shells in containers: a connection of a user's command goes on as a byte stream to the node
 * agent, which runs a program in a terminal in the container.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { messageOf, PlatformError } from "../../core/index.ts";
import type { PieceStream, ShellWish } from "../../sandbox/index.ts";
import {
  encodeShellData,
  SHELL_CHARACTERS_MAX,
  SHELL_PROTOCOL,
  SHELL_WORDS_MAX,
} from "../../sdk/protocol/index.ts";
import { authorizeUpgrade, type UserGate } from "../http/authorize.ts";
import { ROUTE_ACCESS } from "../http/route-access.ts";
import { endWith } from "../http/upgrades.ts";
import type { FleetService, Principal, ShellService } from "../services.ts";
import { openStream, type OpenStreamOptions } from "./open-stream.ts";

export interface ShellGatewayOptions extends OpenStreamOptions {
  readonly gate: UserGate;
  readonly fleet: Pick<FleetService, "containers">;
  /** Asks a container's node for a shell; false when it is not connected. */
  readonly openShell: (containerId: string, wish: ShellWish) => boolean;
}

const PATH = /^\/v1\/containers\/([a-z0-9_]{1,64})\/shell$/;
const LENGTH_MAX = 65_535;
/** The better of the two shells that images have. */
const DEFAULT_COMMAND = ["sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash; exec sh"];

const side = z.coerce.number().int().min(1).max(LENGTH_MAX);
const wishSchema = z.object({
  rows: side.default(24),
  cols: side.default(80),
  term: z
    .string()
    .regex(/^[A-Za-z0-9._+-]{1,64}$/)
    .default("xterm-256color"),
  command: z
    .array(z.string().refine((word) => !word.includes("\0")))
    .min(1)
    .max(SHELL_WORDS_MAX)
    .refine((words) => words.join("").length <= SHELL_CHARACTERS_MAX)
    .default(DEFAULT_COMMAND),
});

/** Opens shells for users' commands. */
export function createShellGateway(options: ShellGatewayOptions): ShellService {
  return { upgrade: (...request) => upgrade(options, ...request) };
}

async function upgrade(
  options: ShellGatewayOptions,
  request: IncomingMessage,
  socket: Duplex,
  rest: Uint8Array,
  requestId: string,
): Promise<void> {
  let opened: PieceStream;
  try {
    opened = await openFor(options, request);
  } catch (error) {
    endWith(socket, error, requestId);
    return;
  }
  const head = `HTTP/1.1 101 \r\nconnection: upgrade\r\nupgrade: ${SHELL_PROTOCOL}\r\n\r\n`;
  socket.write(head, "latin1");
  if (rest.byteLength > 0) socket.unshift(rest);
  await passOn(socket, opened);
}

async function openFor(
  options: ShellGatewayOptions,
  request: IncomingMessage,
): Promise<PieceStream> {
  const { gate, fleet } = options;
  const { scopes } = ROUTE_ACCESS["GET /v1/containers/:containerId/shell"] ?? {};
  const who = await authorizeUpgrade(request, Array.isArray(scopes) ? scopes : [], gate);
  const url = new URL(request.url ?? "", "http://server");
  const containerId = await containerIn(url.pathname, who, fleet);
  const wish = wishIn(url.searchParams);
  return openStream(options, containerId, (streamId) =>
    options.openShell(containerId, { streamId, ...wish }),
  );
}

/** @throws PlatformError `not_found` for a container that is not there or another workspace's */
async function containerIn(
  path: string,
  who: Principal,
  fleet: ShellGatewayOptions["fleet"],
): Promise<string> {
  const [, wanted = ""] = PATH.exec(path) ?? [];
  const found = (await fleet.containers(who)).find(({ containerId }) => containerId === wanted);
  if (found !== undefined) return found.containerId;
  throw new PlatformError(`there is no container ${wanted}; see \`flotilla container list\``, {
    code: "not_found",
    retryable: false,
  });
}

function wishIn(query: URLSearchParams): Omit<ShellWish, "streamId"> {
  const words = query.getAll("command");
  const asked = {
    ...Object.fromEntries([...query].filter(([name]) => name !== "command")),
    ...(words.length === 0 ? {} : { command: words }),
  };
  const { data, error } = wishSchema.safeParse(asked);
  if (data !== undefined) return data;
  const [issue] = error.issues;
  const where = issue?.path.join(".") ?? "";
  throw new PlatformError(`a shell cannot be opened so: ${where}: ${issue?.message ?? ""}`, {
    code: "invalid_request",
    retryable: false,
  });
}

/** Passes bytes on both ways until one side ends; why it broke off is the last thing said. */
async function passOn(socket: Duplex, stream: PieceStream): Promise<void> {
  socket.once("close", () => stream.destroy());
  socket.pipe(stream);
  try {
    await pipeline(stream, socket, { end: false });
    socket.end();
  } catch (error) {
    if (socket.writable)
      socket.end(encodeShellData("m", new TextEncoder().encode(messageOf(error))));
    else socket.destroy();
  }
}
