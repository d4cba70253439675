/** A node with a container on it that must go on answering, whatever others on it do. */
import { expect } from "vitest";
import type { Resources } from "../../core/index.ts";
import { TestNode, type TestContainer } from "./test-node.ts";

/** Room enough that an attacker meets its own limits and not those of a small container. */
export const ROOMY: Resources = { gpuCount: 0, cpuMilli: 500, memoryMiB: 2_048 };

export class Siege {
  readonly node: TestNode;
  readonly #neighbour: TestContainer;

  private constructor(node: TestNode, neighbour: TestContainer) {
    this.node = node;
    this.#neighbour = neighbour;
  }

  static async open(): Promise<Siege> {
    const node = await TestNode.open();
    return new Siege(node, await node.start("export const run = (value) => value;"));
  }

  close(): Promise<void> {
    return this.node.close();
  }

  /** The neighbour still answers. */
  async expectUsable(): Promise<void> {
    expect(await this.#neighbour.call("still here")).toBe("still here");
  }

  /** Ends an attacker; nothing of it is left, and the node works. */
  async expectGone(attacker: TestContainer): Promise<void> {
    attacker.stop();
    await attacker.exit();
    expect(attacker.traces).toEqual([]);
    await this.expectUsable();
    expect(this.node.errors).toEqual([]);
  }
}
