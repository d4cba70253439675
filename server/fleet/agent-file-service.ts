/** Gives the files of the agent to machines of open batches, and to nobody else. */
import { PlatformError } from "../../core/index.ts";
import { bearerTokenOf } from "../auth/tokens.ts";
import type { AgentFileService } from "../services.ts";
import type { AgentFiles } from "./agent-files.ts";
import { isBatchToken } from "./batch-joins.ts";
import type { NodeTable } from "./node-table.ts";

/** The service over the files of this server. */
export function createAgentFileService(options: {
  readonly files: Pick<AgentFiles, "find">;
  readonly nodes: Pick<NodeTable, "all">;
  /** Known to this platform alone; the tokens of batches are made of it. */
  readonly key: Uint8Array;
}): AgentFileService {
  const { files, nodes, key } = options;
  return {
    find: async (authorization, batch, sha256) => {
      const token = bearerTokenOf(authorization) ?? "";
      const isOpen = nodes.all().some(({ stored }) => stored.clientToken === batch);
      if (isOpen && isBatchToken({ token, batch }, key)) return files.find(sha256);
      throw new PlatformError(
        "these files are for rented machines: send the join token of an open batch, and its name",
        { code: "auth_failed", retryable: false },
      );
    },
  };
}
