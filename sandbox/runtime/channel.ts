/** A connected pair of unix sockets: one end for us, one to become a child's standard input. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface ChannelPair {
  readonly ours: Socket;
  /** To be passed in `stdio` and destroyed here once the child has it. */
  readonly theirs: Socket;
}

/**
 * Makes a connected pair.
 *
 * Node has no socketpair: the two meet at a socket file in a folder of their own, which is gone
 * when this resolves. The folder is in the temporary directory because a socket's path may have
 * at most 107 bytes (unix(7)).
 */
export async function createChannelPair(): Promise<ChannelPair> {
  const dir = await mkdtemp(join(tmpdir(), "fl-"));
  const path = join(dir, "c");
  const server = createServer({ pauseOnConnect: true });
  try {
    server.listen(path);
    await once(server, "listening");
    const accepted = once(server, "connection") as Promise<[Socket]>;
    const ours = connect({ path });
    const [[theirs]] = await Promise.all([accepted, once(ours, "connect")]);
    return { ours, theirs };
  } finally {
    server.close();
    await rm(dir, { recursive: true, force: true });
  }
}
