/**
 * A runtime whose sandboxes may reach hosts: each that is allowed any gets a proxy of its own,
 * which ends with it.
 */
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { assert, type Clock } from "../../core/index.ts";
import type { AgentConfig } from "../agent/config.ts";
import {
  EGRESS_MOUNT,
  type RunningSandbox,
  type Runtime,
  type SandboxSpec,
} from "../runtime/runtime.ts";
import { parseAllowedHost } from "./allowed-host.ts";
import { AuditFile } from "./audit-file.ts";
import { EgressGate, parseRanges, type EgressGateOptions } from "./egress-gate.ts";
import { EGRESS_SOCKET, EgressProxy, type EgressProxyOptions } from "./egress-proxy.ts";

export interface EgressOptions
  extends
    Pick<EgressProxyOptions, "clock" | "onAudit">,
    Pick<EgressGateOptions, "openRanges" | "ownAddresses"> {
  /** Has a folder for each proxy. A socket's path may have 107 bytes (unix(7)). */
  readonly dir: string;
}

/** What the settings of an agent say about its containers' network. */
export function egressOptionsOf(
  { dataDir, egressOpenRanges = [] }: AgentConfig,
  clock: Clock,
): EgressOptions {
  const openRanges = parseRanges(egressOpenRanges);
  assert(openRanges !== undefined, "ranges are checked when the settings are read");
  const audit = new AuditFile(join(dataDir, "egress.jsonl"), clock);
  return {
    dir: join(dataDir, "egress"),
    clock,
    openRanges,
    ownAddresses: () =>
      Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address)),
    onAudit: (entry) => audit.write(entry),
  };
}

export function withEgress(runtime: Runtime, options: EgressOptions): Runtime {
  const { images, create } = runtime;
  return {
    ...runtime,
    ...(create && { create: (spec) => withProxy(spec, options, create) }),
    images:
      images.kind === "unsupported"
        ? images
        : {
            ...images,
            // A process that was restored finds its proxy where the one it is a copy of had it.
            restore: (spec, imageDir) =>
              withProxy(spec, options, (proxied) => images.restore(proxied, imageDir)),
          },
    start: (spec) => withProxy(spec, options, (proxied) => runtime.start(proxied)),
  };
}

/** A sandbox with a proxy of its own, if it may reach hosts. */
async function withProxy(
  spec: SandboxSpec,
  options: EgressOptions,
  launch: (spec: SandboxSpec) => Promise<RunningSandbox>,
): Promise<RunningSandbox> {
  if (spec.allowHosts === undefined) return launch(spec);
  const proxy = await openProxy(spec, spec.allowHosts, options);
  try {
    const egressDir = join(options.dir, spec.containerId);
    const env = { ...spec.env, FLOTILLA_EGRESS: `${EGRESS_MOUNT}/${EGRESS_SOCKET}` };
    const sandbox = await launch({ ...spec, env, egressDir });
    void sandbox.exited.then(() => proxy.close());
    const { becomes } = sandbox;
    sandbox.becomes = (containerId) => {
      proxy.becomes(containerId);
      becomes?.(containerId);
    };
    return sandbox;
  } catch (error) {
    await proxy.close();
    throw error;
  }
}

async function openProxy(
  { containerId }: SandboxSpec,
  allowHosts: readonly string[],
  { dir, clock, onAudit, openRanges, ownAddresses }: EgressOptions,
): Promise<EgressProxy> {
  const allowed = allowHosts.map(parseAllowedHost).filter((host) => host !== undefined);
  return EgressProxy.open({
    containerId,
    dir: join(dir, containerId),
    clock,
    onAudit,
    gate: new EgressGate({
      allowed,
      ...(openRanges === undefined ? {} : { openRanges }),
      ...(ownAddresses === undefined ? {} : { ownAddresses }),
    }),
  });
}
