/**
 * The server's half of SOCKS5 without a password (RFC 1928): CONNECT to a name or an address.
 */
import type { Socket } from "node:net";
import type { Target } from "./egress-gate.ts";
import type { NoPassage, Passage } from "./passage.ts";

export const SOCKS_VERSION = 5;
const NO_PASSWORD = 0;
const CONNECT = 1;
const ADDRESS_TYPES = { ipv4: 1, name: 3, ipv6: 4 } as const;
const REPLIES = { done: 0, notAllowed: 2, unreachable: 4, noCommand: 7, noAddress: 8 } as const;

/** Serves one connection from its first byte to its end. */
export async function serveSocks(
  client: Socket,
  pass: (target: Target) => Promise<Passage | NoPassage>,
): Promise<void> {
  try {
    const [, methodCount = 0] = await read(client, 2);
    const methods = await read(client, methodCount);
    if (!methods.includes(NO_PASSWORD)) {
      client.end(Buffer.from([SOCKS_VERSION, 0xff]));
      return;
    }
    client.write(Buffer.from([SOCKS_VERSION, NO_PASSWORD]));
    const [, command, , type = 0] = await read(client, 4);
    const host = await readHost(client, type);
    if (command !== CONNECT || host === undefined) {
      reply(client, host === undefined ? REPLIES.noAddress : REPLIES.noCommand);
      client.end();
      return;
    }
    const port = (await read(client, 2)).readUInt16BE();
    const passage = await pass({ host, port });
    if ("join" in passage) {
      reply(client, REPLIES.done);
      await passage.join(client);
      return;
    }
    reply(client, passage.isRefusal ? REPLIES.notAllowed : REPLIES.unreachable);
    client.end();
  } catch {
    // It closed in the middle, or speaks something else.
    client.destroy();
  }
}

async function readHost(client: Socket, type: number): Promise<string | undefined> {
  switch (type) {
    case ADDRESS_TYPES.ipv4:
      return [...(await read(client, 4))].join(".");
    case ADDRESS_TYPES.ipv6: {
      const bytes = await read(client, 16);
      return [0, 2, 4, 6, 8, 10, 12, 14].map((at) => bytes.readUInt16BE(at).toString(16)).join(":");
    }
    case ADDRESS_TYPES.name: {
      const [length = 0] = await read(client, 1);
      return (await read(client, length)).toString("latin1");
    }
    default:
      return undefined;
  }
}

function reply(client: Socket, code: number): void {
  client.write(Buffer.from([SOCKS_VERSION, code, 0, ADDRESS_TYPES.ipv4, 0, 0, 0, 0, 0, 0]));
}

/** Exactly so many bytes. @throws Error when the stream ends before */
async function read(client: Socket, bytes: number): Promise<Buffer> {
  if (bytes === 0) return Buffer.alloc(0);
  for (;;) {
    const piece = client.read(bytes) as Buffer | null;
    if (piece !== null && piece.byteLength === bytes) return piece;
    if (piece !== null || client.readableEnded || client.destroyed) throw new Error("cut short");
    await new Promise<void>((resolve) => {
      const done = (): void => {
        for (const event of ["readable", "end", "close"]) client.off(event, done);
        resolve();
      };
      for (const event of ["readable", "end", "close"]) client.once(event, done);
    });
  }
}
