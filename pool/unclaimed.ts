/**
 * Machines of our accounts that no cluster's tag claims: whose they are, by what evidence.
 *
 * Listings go by the cluster's tag, so a machine that has lost it is not in them. A survey of the
 * account shows it all the same, among machines that are none of ours. The ledger is the only
 * evidence that lets one be ended:
 *
 *     its exact id is that of a node that has ended                      lost, given back
 *     its node or batch is one of which nothing came as far as we know,
 *       and it was launched when that was asked for                      lost, given back
 *     its id, node or batch is that of an open node                      serves, told of
 *     it has tags or a name of ours, and the ledger has none of them     marked, told of
 *     it has nothing of ours                                             bare, counted
 *
 * Node ids and tokens are random, so nobody else's machine bears one that is in this ledger; a
 * copy of a machine may, which is why what they say counts only for the time of their rent.
 *
 * Pure.
 */
import { MS_PER_MINUTE, type CloudName } from "../core/index.ts";
import type { UnclaimedMachine } from "../providers/index.ts";
import type { MachineTraces, PoolRecord } from "./ports.ts";

/** Tags may come so much later than their machine, and rents be answered. */
export const UNCLAIMED_GRACE_MS = 5 * MS_PER_MINUTE;

/** A rent may lead to machines for so long after it was asked for. */
const RENT_MS_MAX = 15 * MS_PER_MINUTE;

/** Whose a machine is. */
export type Claim =
  | { readonly kind: "lost" | "serving"; readonly nodeId: string }
  | { readonly kind: "marked" | "bare" };

/** A machine that no cluster's tag claims, with whose it is. */
export interface JudgedMachine {
  readonly cloud: CloudName;
  readonly machine: UnclaimedMachine;
  readonly claim: Claim;
}

/** What the ledger is to be asked about some machines. */
export function tracesOf(machines: readonly UnclaimedMachine[]): MachineTraces {
  return {
    providerNodeIds: machines.map(({ providerNodeId }) => providerNodeId),
    nodeIds: machines.flatMap(({ nodeId }) => nodeId ?? []),
    clientTokens: machines.flatMap(({ clientToken }) => clientToken ?? []),
  };
}

/**
 * Judges the machines of one cloud, in the order given; those younger than the grace are left
 * out. O(machines + records).
 *
 * @param records What the ledger has of their traces.
 */
export function judgeMachines(
  machines: readonly UnclaimedMachine[],
  records: readonly PoolRecord[],
  at: { readonly cloud: CloudName; readonly nowMs: number },
): readonly JudgedMachine[] {
  const own = records.filter(({ node }) => node.cloud === at.cloud);
  const byMachine = new Map(own.map((record) => [record.node.providerNodeId, record]));
  const byNode = new Map(own.map((record) => [record.node.nodeId, record]));
  const byToken = Map.groupBy(own, ({ clientToken }) => clientToken);
  return machines
    .filter(({ launchedAtMs }) => at.nowMs - launchedAtMs >= UNCLAIMED_GRACE_MS)
    .map((machine) => {
      const { providerNodeId, nodeId = "", clientToken = "" } = machine;
      const known = byMachine.get(providerNodeId);
      const named = byNode.get(nodeId);
      const candidates = named === undefined ? (byToken.get(clientToken) ?? []) : [named];
      const claim =
        known === undefined
          ? claimOfRent(machine, candidates)
          : {
              kind: isLongEnded(known, at.nowMs) ? ("lost" as const) : ("serving" as const),
              known,
            };
      return { cloud: at.cloud, machine, claim: plainly(claim) };
    });
}

type FoundClaim =
  | { readonly kind: "lost" | "serving"; readonly known: PoolRecord }
  | { readonly kind: "marked" | "bare" };

function plainly(claim: FoundClaim): Claim {
  if (!("known" in claim)) return claim;
  return { kind: claim.kind, nodeId: claim.known.node.nodeId };
}

/** Of a machine that no record has by its id: what the rent says that it may have come of. */
function claimOfRent(machine: UnclaimedMachine, candidates: readonly PoolRecord[]): FoundClaim {
  const open = candidates.find(({ terminatedAtMs }) => terminatedAtMs === undefined);
  if (open !== undefined) return { kind: "serving", known: open };
  const givenUp = candidates.find((record) => mayBeOf(machine, record));
  if (givenUp !== undefined) return { kind: "lost", known: givenUp };
  return { kind: machine.marks.length > 0 ? "marked" : "bare" };
}

/** Whether a rent that is thought to have led to nothing may have led to the machine. */
function mayBeOf(
  { clientToken, launchedAtMs }: UnclaimedMachine,
  { node, requestedAtMs, clientToken: token }: PoolRecord,
): boolean {
  if (node.providerNodeId !== undefined) return false;
  if (clientToken !== undefined && clientToken !== token) return false;
  const ageMs = launchedAtMs - requestedAtMs;
  return ageMs >= -UNCLAIMED_GRACE_MS && ageMs <= RENT_MS_MAX;
}

function isLongEnded({ terminatedAtMs }: PoolRecord, nowMs: number): boolean {
  return terminatedAtMs !== undefined && nowMs - terminatedAtMs >= MS_PER_MINUTE;
}
