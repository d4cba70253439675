/** What opens byte streams to containers: shells, and images of sandboxes' files. */
import { createAuthenticator } from "../auth/tokens.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { openStream } from "../gateway/open-stream.ts";
import { createShellGateway } from "../gateway/shell-gateway.ts";
import type { WebGateway } from "../gateway/web-gateway.ts";
import { createSandboxImages } from "../images/sandbox-images.ts";
import type { ImageService, SandboxImageService, ShellService } from "../services.ts";
import type { Foundations } from "./foundations.ts";

/** Opens both over the fleet's connections. */
export function openContainerStreams(
  { store, clock, ids }: Foundations,
  {
    fleet,
    web,
    images,
  }: { readonly fleet: Fleet; readonly web: WebGateway; readonly images: ImageService },
): { readonly shells: ShellService; readonly sandboxImages: SandboxImageService } {
  const { streams } = web;
  const sendPiece: Fleet["sendPiece"] = (...piece) => fleet.sendPiece(...piece);
  const opening = { streams, ids, sendPiece };
  const shells = createShellGateway({
    ...opening,
    gate: { authenticator: createAuthenticator(store.tokens, clock), workspaces: store.workspaces },
    fleet: fleet.service,
    openShell: (...wish) => fleet.openShell(...wish),
  });
  const sandboxImages = createSandboxImages({
    registry: store.registry,
    fleet: fleet.service,
    images,
    openArchive: (containerId, bytesMax) =>
      openStream(opening, containerId, (streamId) =>
        fleet.packWritten(containerId, { streamId, bytesMax }),
      ),
  });
  return { shells, sandboxImages };
}
