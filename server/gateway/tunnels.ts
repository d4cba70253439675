/**
 * Tunnels: URLs of ports in sandboxes.
 *
 * `/web/{workspace}/{sandbox}/{port}-{key}/…`, where the key is a code over the deployment and the
 * port under this platform's own key (HMAC, RFC 2104). So nothing of a tunnel is stored, nobody
 * makes a URL but who may call the sandbox, code inside one cannot, and a URL ends with its
 * sandbox: another has another deployment.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { PlatformError } from "../../core/index.ts";
import type { TunnelList } from "../../sdk/protocol/index.ts";
import { appPrefixOf } from "../apps/web-paths.ts";
import type { TunnelService } from "../services.ts";
import type { Registry, StoredDeployment } from "../store/record-store.ts";

type Owner = Pick<StoredDeployment, "workspaceId" | "app" | "appId" | "mode" | "functions">;

/** A port that a path leads to. */
export interface Tunnel {
  readonly found: StoredDeployment["functions"][number];
  readonly port: number;
  /** What of the path names it, with the slash before it. */
  readonly part: string;
}

const PART = /^\/([1-9][0-9]{0,4})-([A-Za-z0-9_-]{43})(?=$|\/)/;

/** The path of a port, below the server's URL. */
export function tunnelPathOf(owner: Omit<Owner, "functions">, port: number, key: Uint8Array) {
  return `${appPrefixOf(owner)}/${port}-${codeOf(owner.appId, port, key)}`;
}

/**
 * The port that a path of an app leads to; undefined when the app has no tunnels, or the key in
 * the path is not the port's. Compared in constant time.
 *
 * @param path What follows the app's part, beginning with `/`.
 */
export function tunnelIn(
  { functions, appId }: Pick<Owner, "functions" | "appId">,
  path: string,
  key: Uint8Array,
): Tunnel | undefined {
  const found = functionWithTunnels(functions);
  const [part = "", digits = "", given = ""] = PART.exec(path) ?? [];
  if (found === undefined || part === "") return undefined;
  const port = Number(digits);
  const expected = Buffer.from(codeOf(appId, port, key));
  return timingSafeEqual(expected, Buffer.from(given)) ? { found, port, part } : undefined;
}

/** Gives the URLs of ports to who may call the sandbox. */
export function createTunnelService(
  registry: Pick<Registry, "list">,
  key: Uint8Array,
): TunnelService {
  return {
    open: async ({ workspaceId }, app, ports): Promise<TunnelList> => {
      const deployments = await registry.list(workspaceId);
      const running = deployments.find((each) => each.app === app && each.state === "running");
      if (running === undefined || functionWithTunnels(running.functions) === undefined) {
        const why = running === undefined ? "is not running" : "is no sandbox";
        throw new PlatformError(`there are no tunnels to ${app}: it ${why}`, {
          code: "not_found",
          retryable: false,
        });
      }
      const tunnels = ports.map((port) => ({ port, webPath: tunnelPathOf(running, port, key) }));
      return { tunnels };
    },
  };
}

function functionWithTunnels(functions: Owner["functions"]): Tunnel["found"] | undefined {
  return functions.find(({ spec, variant }) => spec.web?.tunnels === true && variant === undefined);
}

function codeOf(appId: string, port: number, key: Uint8Array): string {
  return createHmac("sha256", key).update(`tunnel ${appId} ${port}`).digest("base64url");
}
