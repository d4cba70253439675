/** Shells, for tests of the HTTP server: each says what it was asked for, and ends. */
import type { ShellService } from "../services.ts";

export function createFakeShells(): ShellService {
  return {
    upgrade: async (request, socket) => {
      socket.end(`HTTP/1.1 101 \r\n\r\n${request.url ?? ""}`);
      await Promise.resolve();
    },
  };
}
