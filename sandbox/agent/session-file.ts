/** The agent's session on disk: a restarted agent comes back as the node it was. */
import { renameSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** Who the server says we are, and the token to say so with. */
export interface Session {
  readonly nodeId: string;
  readonly sessionToken: string;
}

const FILE = "session.json";

/** The session of an earlier run; undefined when there is none, or none that can be read. */
export async function readSession(dataDir: string): Promise<Session | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(join(dataDir, FILE), "utf8"));
    return isSession(value) ? value : undefined;
  } catch {
    // The machine has not joined yet.
    return undefined;
  }
}

/**
 * Keeps a session, readable by its owner alone; replaces the last one as a whole. It is there
 * when this returns: the join token is used up as soon as the server hears the next word.
 */
export function writeSession(dataDir: string, session: Session): void {
  const path = join(dataDir, FILE);
  writeFileSync(`${path}.new`, JSON.stringify(session), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function isSession(value: unknown): value is Session {
  if (typeof value !== "object" || value === null) return false;
  return (["nodeId", "sessionToken"] as const).every(
    (field) => field in value && typeof Reflect.get(value, field) === "string",
  );
}
