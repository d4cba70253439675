/** Interfaces, addresses and disks: resources with no life of their own. */
import type { JsonObject } from "../machine.ts";

export const STORED_TYPES = ["networkInterfaces", "publicIPAddresses", "disks"] as const;
export type StoredType = (typeof STORED_TYPES)[number];

/** A stored resource. */
export interface StoredResource {
  readonly id: string;
  readonly type: StoredType;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly name: string;
  readonly location: string;
  readonly zones?: readonly string[];
  readonly sequence: number;
  readonly createdAtMs: number;
  tags: Readonly<Record<string, string>>;
  properties: JsonObject;
  /** A change of it takes until then. */
  readyAtMs: number;
  /** Id of the machine or interface that uses it. */
  usedBy?: string;
  /** An interface cannot be deleted before this. */
  reservedUntilMs?: number;
  /** Set once it is gone: it may still be listed for a while. */
  deletedAtMs?: number;
}

/** Stored resources by id; ids differ by more than case. */
export class ResourceStore {
  readonly #resources = new Map<string, StoredResource>();

  /** A resource that exists; undefined when it is gone. */
  find(id: string): StoredResource | undefined {
    const resource = this.#resources.get(id.toLowerCase());
    return resource?.deletedAtMs === undefined ? resource : undefined;
  }

  put(resource: StoredResource): void {
    this.#resources.set(resource.id.toLowerCase(), resource);
  }

  /** All of a type, with those that are gone, in the order of their creation. */
  ofType(type: StoredType): readonly StoredResource[] {
    return [...this.#resources.values()]
      .filter((resource) => resource.type === type)
      .sort((one, other) => one.sequence - other.sequence);
  }

  /** Drops what was deleted before `atMs`. */
  forgetDeletedBefore(atMs: number): void {
    for (const [key, { deletedAtMs = Infinity }] of this.#resources) {
      if (deletedAtMs < atMs) this.#resources.delete(key);
    }
  }
}
