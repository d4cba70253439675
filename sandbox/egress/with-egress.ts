/**
 * A runtime whose sandboxes may reach hosts: each that is allowed any gets a proxy of its own,
 * which ends with it.
 */
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { assert, type Clock } from "../../core/index.ts";
import type { AgentConfig } from "../agent/config.ts";
import { EGRESS_MOUNT, type Runtime, type SandboxSpec } from "../runtime/runtime.ts";
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
  return {
    ...runtime,
    start: async (spec) => {
      if (spec.allowHosts === undefined) return runtime.start(spec);
      const proxy = await openProxy(spec, spec.allowHosts, options);
      try {
        const egressDir = join(options.dir, spec.containerId);
        const env = { ...spec.env, FLOTILLA_EGRESS: `${EGRESS_MOUNT}/${EGRESS_SOCKET}` };
        const sandbox = await runtime.start({ ...spec, env, egressDir });
        void sandbox.exited.then(() => proxy.close());
        return sandbox;
      } catch (error) {
        await proxy.close();
        throw error;
      }
    },
  };
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
