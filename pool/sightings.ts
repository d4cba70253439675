/**
 * What the controller remembers of listings: how often a machine was absent, which will be
 * taken back, which clouds did not answer, and which releases were accepted.
 *
 * All of it only saves calls or sharpens times: a new process starts without it, safely.
 */
import type { CloudName } from "../core/index.ts";
import { matchMachines, type Listed, type Match, type PoolNode } from "./observe.ts";
import type { PoolRecord } from "./ports.ts";
import type { Listing } from "./provider-desk.ts";
import { RELEASE_RETRY_MS, type Stray } from "./snapshot.ts";
import { unseenAfter, unseenPlaceOf, type UnseenRegion } from "./unseen.ts";

/** What a listing says of the nodes of one cloud; absent when nothing is known this time. */
export type Machines = (Pick<Match, "machineOf" | "unnamed"> & SeenPart) | undefined;

/** What a listing of one cloud could not see. */
interface SeenPart {
  readonly unseen: readonly UnseenRegion[];
}

/** What is remembered of listings. Plain data. */
export interface SightingsState {
  readonly strays: Map<CloudName, readonly Stray[]>;
  /** Since when each cloud has not answered. */
  readonly unreachable: Map<CloudName, number>;
  /** Regions and zones that the last listing of their cloud did not see. */
  readonly unseen: Map<CloudName, readonly UnseenRegion[]>;
  /** Complete listings in a row without its machine; only nodes that were absent from the last. */
  readonly absentCount: Map<string, number>;
  readonly reclaimedAtMs: Map<string, number>;
  /** First and latest accepted release, by node id. */
  readonly released: Map<string, { readonly firstMs: number; readonly lastMs: number }>;
  /** Nodes that work on machines which listings lack. */
  readonly unlisted: Set<string>;
  /** When the release of a stray was last accepted, by cloud and provider id. */
  readonly straysReleasedAtMs: Map<string, number>;
  /** Since when each stray has been seen, by cloud and provider id. */
  readonly strayAtMs: Map<string, number>;
}

/** Memory of one controller. */
export class Sightings {
  readonly #clusterId: string;
  /** All of it; may be taken away and given back as it was. */
  state: SightingsState = {
    strays: new Map(),
    unreachable: new Map(),
    unseen: new Map(),
    absentCount: new Map(),
    reclaimedAtMs: new Map(),
    released: new Map(),
    unlisted: new Set(),
    straysReleasedAtMs: new Map(),
    strayAtMs: new Map(),
  };

  constructor(clusterId: string) {
    this.#clusterId = clusterId;
  }

  /** Machines of ours without an owner that are to be released, by the listings of this tick. */
  get strays(): readonly Stray[] {
    return [...this.state.strays.values()].flat();
  }

  /** Clouds whose last listing failed, and since when they have failed. */
  get unreachableClouds(): ReadonlyMap<CloudName, number> {
    return this.state.unreachable;
  }

  /** Regions and zones that cannot be seen though the rest of their cloud can. */
  get unseen(): readonly UnseenRegion[] {
    return [...this.state.unseen.values()].flat();
  }

  /** Those of one cloud. */
  unseenOf(cloud: CloudName): readonly UnseenRegion[] {
    return this.state.unseen.get(cloud) ?? [];
  }

  /** When nodes will be taken back, by node id. */
  get reclaimedAtMs(): ReadonlyMap<string, number> {
    return this.state.reclaimedAtMs;
  }

  /** Takes in one cloud's listing, with the open records of that cloud. */
  read(
    cloud: CloudName,
    listing: Listing,
    records: readonly PoolRecord[],
    nowMs: number,
  ): Machines {
    this.state.strays.delete(cloud);
    if (listing.kind === "not-due") return undefined;
    if (listing.kind === "failed") {
      if (!this.state.unreachable.has(cloud)) this.state.unreachable.set(cloud, nowMs);
      return undefined;
    }
    this.state.unreachable.delete(cloud);
    const unseen = unseenAfter(this.unseenOf(cloud), { cloud, unseen: listing.unseen }, nowMs);
    this.state.unseen.set(cloud, unseen);
    const match = matchMachines(records, listing.machines, {
      clusterId: this.#clusterId,
      nowMs,
    });
    const strays = this.#aged(cloud, match.strays, nowMs);
    this.state.strays.set(cloud, this.#due(cloud, strays, nowMs));
    const machines = { ...match, unseen };
    for (const record of records) {
      const { node } = record;
      const machine = match.machineOf(node);
      if (machine !== undefined) {
        this.#noteListed(node.nodeId, listing.reclaimedAtMs.get(machine.providerNodeId));
        continue;
      }
      const listed = listedOf(record, machines);
      if (listed === "unnamed") this.state.absentCount.delete(node.nodeId);
      if (listed !== "absent") continue;
      this.state.absentCount.set(node.nodeId, (this.state.absentCount.get(node.nodeId) ?? 0) + 1);
    }
    return machines;
  }

  /** A record with what is known of its machine. */
  nodeOf(record: PoolRecord, machines: Machines): PoolNode {
    const { nodeId } = record.node;
    const released = this.state.released.get(nodeId);
    const listed = machines === undefined ? "unknown" : listedOf(record, machines);
    const absentCount = this.state.absentCount.get(nodeId) ?? 0;
    if (released === undefined) return { record, listed, absentCount };
    return { record, listed, absentCount, releasedAtMs: released.lastMs };
  }

  #noteListed(nodeId: string, deadlineMs: number | undefined): void {
    if (deadlineMs !== undefined) this.state.reclaimedAtMs.set(nodeId, deadlineMs);
    this.state.absentCount.delete(nodeId);
  }

  /** Notes that a release was accepted. */
  noteReleased(nodeId: string, nowMs: number): void {
    const firstMs = this.state.released.get(nodeId)?.firstMs ?? nowMs;
    this.state.released.set(nodeId, { firstMs, lastMs: nowMs });
  }

  /** When billing of a node ended: its first accepted release, if this process sent it. */
  firstReleasedAtMs(nodeId: string): number | undefined {
    return this.state.released.get(nodeId)?.firstMs;
  }

  /** Notes whether a node works on a machine that listings lack; true when that is news. */
  noteUnlisted(nodeId: string, isUnlisted: boolean): boolean {
    const isNews = isUnlisted && !this.state.unlisted.has(nodeId);
    if (isUnlisted) this.state.unlisted.add(nodeId);
    else this.state.unlisted.delete(nodeId);
    return isNews;
  }

  /** Notes that the release of a stray was accepted; it is sent again after a while. */
  noteStrayReleased(stray: Pick<Stray, "cloud" | "providerNodeId">, nowMs: number): void {
    this.state.straysReleasedAtMs.set(keyOf(stray), nowMs);
  }

  /** Strays with their age by the cloud's clock or, where that is ahead of ours, by our own. */
  #aged(
    cloud: CloudName,
    machines: readonly Pick<Stray, "providerNodeId" | "launchedAtMs">[],
    nowMs: number,
  ): readonly Stray[] {
    const listed = new Map(
      machines.map(({ providerNodeId, launchedAtMs }) => {
        const key = keyOf({ cloud, providerNodeId });
        const seenAtMs = Math.min(nowMs, this.state.strayAtMs.get(key) ?? nowMs);
        this.state.strayAtMs.set(key, seenAtMs);
        const sinceMs = Math.min(launchedAtMs, seenAtMs);
        return [key, { cloud, providerNodeId, launchedAtMs: sinceMs }];
      }),
    );
    forgetOthers(this.state.strayAtMs, cloud, listed);
    return [...listed.values()];
  }

  /** The strays whose release was not accepted a moment ago; forgets those that are gone. */
  #due(cloud: CloudName, strays: readonly Stray[], nowMs: number): readonly Stray[] {
    forgetOthers(this.state.straysReleasedAtMs, cloud, new Set(strays.map(keyOf)));
    return strays.filter((stray) => {
      const releasedAtMs = this.state.straysReleasedAtMs.get(keyOf(stray)) ?? -Infinity;
      return nowMs - releasedAtMs >= RELEASE_RETRY_MS;
    });
  }

  /** Forgets nodes that are no longer open. */
  keepOnly(open: readonly PoolRecord[]): void {
    const remembered =
      this.state.absentCount.size + this.state.reclaimedAtMs.size + this.state.released.size;
    if (remembered + this.state.unlisted.size === 0) return;
    const ids = new Set(open.map(({ node }) => node.nodeId));
    for (const memory of [this.state.absentCount, this.state.reclaimedAtMs, this.state.released]) {
      for (const nodeId of memory.keys()) if (!ids.has(nodeId)) memory.delete(nodeId);
    }
    for (const nodeId of this.state.unlisted)
      if (!ids.has(nodeId)) this.state.unlisted.delete(nodeId);
  }
}

/** Forgets what is kept of machines of a cloud that are not listed. */
function forgetOthers(
  memory: Map<string, number>,
  cloud: CloudName,
  listed: { has(key: string): boolean },
): void {
  for (const key of memory.keys()) {
    if (key.startsWith(`${cloud} `) && !listed.has(key)) memory.delete(key);
  }
}

function keyOf({ cloud, providerNodeId }: Pick<Stray, "cloud" | "providerNodeId">): string {
  return `${cloud} ${providerNodeId}`;
}

/** A machine that is not listed may be in a place that is not seen: then nothing is known. */
function listedOf(
  { node, clientToken, batch }: PoolRecord,
  { machineOf, unnamed, unseen }: NonNullable<Machines>,
): Listed {
  const machine = machineOf(node);
  if (machine !== undefined) return machine.state;
  const places = batch?.offers ?? [node];
  if (places.some((place) => unseenPlaceOf(unseen, place) !== undefined)) return "unknown";
  return node.providerNodeId === undefined && unnamed.has(clientToken) ? "unnamed" : "absent";
}
