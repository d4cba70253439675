/**
 * A candidate taken apart: nodes one by one, with what each holds in every scenario, so that
 * nodes can be given up, rented and filled at the cost of what changes, and all of it taken back.
 *
 * Which of the alike nodes of an offer holds what in different scenarios is free: the ones worth
 * most are put together, so that what is little used is little used in every scenario.
 */
import { assert, type Resources } from "../../core/index.ts";
import type { Candidate } from "../candidate.ts";
import { Headroom } from "../headroom.ts";
import { roomAfter, roomOf, type NodeStack } from "../packing.ts";
import type { Problem } from "../problem.ts";
import { copyOf, emptyBin, putIn, type Bin } from "./bin.ts";
import { openOf } from "./part.ts";
import { keyOf, type Worth } from "./worth.ts";

/** One node. */
export interface OpenNode {
  readonly offerIndex: number;
  readonly groupIndex: number;
  /** By scenario. */
  readonly bins: Bin[];
  /** What it costs less what its containers are worth, by the duals. */
  lossUsd: number;
  /** Places in the lists of all nodes and of those of its group. */
  place: number;
  placeInGroup: number;
}

/** A class in a scenario. */
export interface Item {
  readonly key: number;
  readonly classIndex: number;
  readonly scenarioIndex: number;
  readonly needs: Resources;
  readonly probability: number;
  /** Of one container by the duals. */
  readonly worthUsd: number;
  /** Expected price of one that is unmet. */
  readonly unmetUsd: number;
}

/** What takes a change back. */
interface Journal {
  usd: number;
  readonly added: OpenNode[];
  readonly removed: OpenNode[];
  readonly bins: {
    readonly node: OpenNode;
    readonly scenarioIndex: number;
    readonly bin: Bin;
    readonly lossUsd: number;
  }[];
  /** Containers without a node before, by key. */
  readonly open: Map<number, number>;
}

const NOTHING: Resources = { gpuCount: 0, cpuMilli: 0, memoryMiB: 0 };

export class OpenFleet {
  readonly problem: Problem;
  readonly worth: Worth;
  readonly nodes: OpenNode[] = [];
  /** By key. */
  readonly items: readonly Item[];
  /** Keys of classes and scenarios with containers that have no node. */
  readonly openKeys = new Set<number>();
  readonly #byGroup = new Map<number, OpenNode[]>();
  readonly #headroom: Headroom;
  readonly #open: Int32Array;
  /** By group and class: what a container costs beyond the node; NaN where it is no use. */
  readonly #worthy: (Float64Array | undefined)[] = [];
  /** All but the price of concentration. */
  #usd = 0;
  #journal: Journal = emptyJournal(0);

  /** @param usd What the candidate costs. */
  constructor(problem: Problem, worth: Worth, candidate: Candidate, usd: number) {
    this.problem = problem;
    this.worth = worth;
    this.#headroom = new Headroom(problem, candidate.counts, false);
    this.#open = new Int32Array(problem.classes.length * problem.probabilities.length);
    this.items = itemsOf(problem, worth);
    for (const { key, classIndex, scenarioIndex } of this.items) {
      this.#setOpen(key, openOf(problem, candidate, classIndex, scenarioIndex));
    }
    for (const [classIndex, places] of worth.places.entries()) {
      for (const { groupIndex, usd } of places) {
        const costs = (this.#worthy[groupIndex] ??= new Float64Array(problem.classes.length).fill(
          NaN,
        ));
        costs[classIndex] = usd;
      }
    }
    this.#takeApart(candidate);
    this.#usd = usd - this.#headroom.concentrationUsd();
    this.begin();
  }

  /** What all of it costs, USD/h. */
  get usd(): number {
    return this.#usd + this.#headroom.concentrationUsd();
  }

  /** Nodes of a group. */
  nodesOf(groupIndex: number): readonly OpenNode[] {
    return this.#byGroup.get(groupIndex) ?? [];
  }

  /** Containers that have no node. */
  openAt(key: number): number {
    return this.#open[key] ?? 0;
  }

  /** @throws when there is no such key. */
  itemOf(key: number): Item {
    const item = this.items[key];
    assert(item !== undefined, `no class and scenario with key ${key}`);
    return item;
  }

  /** Nodes of an offer. */
  countOf(offerIndex: number): number {
    return this.#headroom.counts[offerIndex] ?? 0;
  }

  /** Most nodes that may be added now, shares aside. */
  spareOf(offerIndex: number): number {
    return this.#headroom.spare(offerIndex);
  }

  /** Whether the share rules hold. */
  obeysShares(): boolean {
    return this.#headroom.obeysShares();
  }

  /** What another node of an offer costs, or what giving up the last one saves with `added` 0. */
  nextNodeUsd(offerIndex: number, added = 1): number {
    const offer = this.problem.offers[offerIndex];
    if (!offer) return 0;
    const isLaunched = this.countOf(offerIndex) + added > offer.present;
    return offer.rentUsd + offer.reclaimUsd + (isLaunched ? offer.launchUsd : -offer.releaseUsd);
  }

  /** By class, what a container costs on a group beyond the node; NaN where it is no use. */
  costsOn(groupIndex: number): Float64Array | undefined {
    return this.#worthy[groupIndex];
  }

  /** Starts a change that `undo` takes back. */
  begin(): void {
    this.#journal = emptyJournal(this.#usd);
  }

  undo(): void {
    const { usd, added, removed, bins, open } = this.#journal;
    for (const node of added.reverse()) {
      this.#unlink(node);
      this.#headroom.add(node.offerIndex, -1);
    }
    for (const { node, scenarioIndex, bin, lossUsd } of bins.reverse()) {
      node.bins[scenarioIndex] = bin;
      node.lossUsd = lossUsd;
    }
    for (const node of removed) {
      this.#link(node);
      this.#headroom.add(node.offerIndex, 1);
    }
    for (const [key, quantity] of open) this.#setOpen(key, quantity);
    this.#usd = usd;
  }

  /** Rents an empty node. */
  add(offerIndex: number): OpenNode | undefined {
    const node = this.#emptyNode(offerIndex);
    if (!node) return undefined;
    this.#usd += this.nextNodeUsd(offerIndex);
    this.#headroom.add(offerIndex, 1);
    this.#link(node);
    this.#journal.added.push(node);
    return node;
  }

  /** Gives a node up; gives the keys of what it held. */
  remove(node: OpenNode): readonly number[] {
    this.#usd -= this.nextNodeUsd(node.offerIndex, 0);
    this.#headroom.add(node.offerIndex, -1);
    this.#unlink(node);
    this.#journal.removed.push(node);
    return node.bins.flatMap((bin, scenarioIndex) => this.#release(node, bin, scenarioIndex));
  }

  /** Takes everything off a node in one scenario; gives the keys of what it held. */
  empty(node: OpenNode, scenarioIndex: number): readonly number[] {
    const bin = node.bins[scenarioIndex];
    const group = this.problem.groups[node.groupIndex];
    if (!bin || !group) return [];
    this.#keepBin(node, scenarioIndex);
    const keys = this.#release(node, bin, scenarioIndex);
    for (const key of keys) {
      const item = this.itemOf(key);
      const quantity = bin.containers.get(item.classIndex) ?? 0;
      node.lossUsd += quantity * this.#worthAt(node.groupIndex, item);
    }
    node.bins[scenarioIndex] = emptyBin(group.resources);
    return keys;
  }

  /** Puts containers without a node on one; at most as many as fit. */
  put(node: OpenNode, item: Item, count: number): void {
    const { key, classIndex, scenarioIndex, needs } = item;
    const bin = node.bins[scenarioIndex];
    if (!bin) return;
    this.#keepBin(node, scenarioIndex);
    putIn(bin, classIndex, needs, count);
    this.#setOpen(key, this.openAt(key) - count);
    node.lossUsd -= count * this.#worthAt(node.groupIndex, item);
    this.#usd -= count * this.#savedAt(node.groupIndex, item);
  }

  /** Put together again; alike nodes are one stack. */
  candidate(): Candidate {
    const { problem } = this;
    return {
      counts: [...this.#headroom.counts],
      stacks: [...problem.probabilities.keys()].map((index) => this.#stacksOf(index)),
      unmet: problem.classes.map(({ excess }, classIndex) =>
        [...problem.probabilities.keys()].map(
          (index) => (excess[index] ?? 0) + this.openAt(keyOf(problem, classIndex, index)),
        ),
      ),
    };
  }

  #takeApart({ counts, stacks }: Candidate): void {
    const byOffer = new Map<number, OpenNode[]>();
    for (const [offerIndex, count] of counts.entries()) {
      for (let each = 0; each < count; each += 1) {
        const node = this.#emptyNode(offerIndex);
        if (!node) continue;
        this.#link(node);
        const own = byOffer.get(offerIndex) ?? [];
        own.push(node);
        byOffer.set(offerIndex, own);
      }
    }
    for (const [scenarioIndex, scenario] of stacks.entries()) {
      this.#fill(byOffer, scenarioIndex, scenario);
    }
  }

  #fill(
    byOffer: ReadonlyMap<number, readonly OpenNode[]>,
    scenarioIndex: number,
    stacks: readonly NodeStack[],
  ): void {
    const used = new Map<number, number>();
    const worths = stacks.map((stack) => ({ stack, usd: this.#worthOf(scenarioIndex, stack) }));
    for (const { stack, usd } of worths.sort((a, b) => b.usd - a.usd)) {
      for (let each = 0; each < stack.nodeCount; each += 1) {
        const at = used.get(stack.offerIndex) ?? 0;
        used.set(stack.offerIndex, at + 1);
        const node = byOffer.get(stack.offerIndex)?.[at];
        const bin = node?.bins[scenarioIndex];
        if (!node || !bin) continue;
        for (const [classIndex, quantity] of this.#largestFirst(stack.containers)) {
          putIn(bin, classIndex, this.#needsOf(classIndex), quantity);
        }
        node.lossUsd -= usd;
      }
    }
  }

  #worthOf(scenarioIndex: number, { offerIndex, containers }: NodeStack): number {
    const groupIndex = this.problem.offers[offerIndex]?.groupIndex ?? -1;
    let usd = 0;
    for (const [classIndex, quantity] of containers) {
      const item = this.itemOf(keyOf(this.problem, classIndex, scenarioIndex));
      usd += quantity * this.#worthAt(groupIndex, item);
    }
    return usd;
  }

  #largestFirst(containers: ReadonlyMap<number, number>): readonly (readonly [number, number])[] {
    const gpus = (classIndex: number): number => this.#needsOf(classIndex).gpuCount;
    return [...containers].sort(([a], [b]) => gpus(b) - gpus(a) || a - b);
  }

  #needsOf(classIndex: number): Resources {
    return this.problem.classes[classIndex]?.needs ?? NOTHING;
  }

  /** What a container is worth on a group by the duals. */
  #worthAt(groupIndex: number, { classIndex, worthUsd, probability }: Item): number {
    return worthUsd - probability * this.#costAt(groupIndex, classIndex);
  }

  /** What serving a container on a group saves over leaving it unmet, the node aside. */
  #savedAt(groupIndex: number, { classIndex, unmetUsd, probability }: Item): number {
    return unmetUsd - probability * this.#costAt(groupIndex, classIndex);
  }

  #costAt(groupIndex: number, classIndex: number): number {
    const usd = this.#worthy[groupIndex]?.[classIndex] ?? NaN;
    if (!Number.isNaN(usd)) return usd;
    const group = this.problem.groups[groupIndex];
    return group?.costs[group.classIndexes.indexOf(classIndex)]?.usd ?? 0;
  }

  #emptyNode(offerIndex: number): OpenNode | undefined {
    const entry = this.problem.offers[offerIndex];
    if (!entry) return undefined;
    return {
      offerIndex,
      groupIndex: entry.groupIndex,
      bins: this.problem.probabilities.map(() => emptyBin(entry.offer.resources)),
      lossUsd: this.worth.nodeUsd[offerIndex] ?? 0,
      place: -1,
      placeInGroup: -1,
    };
  }

  #link(node: OpenNode): void {
    node.place = this.nodes.push(node) - 1;
    const own = this.#byGroup.get(node.groupIndex) ?? [];
    node.placeInGroup = own.push(node) - 1;
    this.#byGroup.set(node.groupIndex, own);
  }

  #unlink(node: OpenNode): void {
    const last = this.nodes.pop();
    if (last && last !== node) {
      this.nodes[node.place] = last;
      last.place = node.place;
    }
    const own = this.#byGroup.get(node.groupIndex) ?? [];
    const end = own.pop();
    if (end && end !== node) {
      own[node.placeInGroup] = end;
      end.placeInGroup = node.placeInGroup;
    }
  }

  /** Counts what a bin holds as open. */
  #release(node: OpenNode, bin: Bin, scenarioIndex: number): number[] {
    return [...bin.containers].map(([classIndex, quantity]) => {
      const item = this.itemOf(keyOf(this.problem, classIndex, scenarioIndex));
      this.#setOpen(item.key, this.openAt(item.key) + quantity);
      this.#usd += quantity * this.#savedAt(node.groupIndex, item);
      return item.key;
    });
  }

  #keepBin(node: OpenNode, scenarioIndex: number): void {
    const bin = node.bins[scenarioIndex];
    if (!bin || this.#journal.added.includes(node)) return;
    const { lossUsd } = node;
    this.#journal.bins.push({ node, scenarioIndex, bin: copyOf(bin), lossUsd });
  }

  #setOpen(key: number, quantity: number): void {
    if (!this.#journal.open.has(key)) this.#journal.open.set(key, this.openAt(key));
    this.#open[key] = quantity;
    if (quantity > 0) this.openKeys.add(key);
    else this.openKeys.delete(key);
  }

  #stacksOf(scenarioIndex: number): readonly NodeStack[] {
    const alike = new Map<string, { node: OpenNode; bin: Bin; nodeCount: number }>();
    for (const node of this.nodes) {
      const bin = node.bins[scenarioIndex];
      if (!bin || bin.containers.size === 0) continue;
      const content = [...bin.containers].sort(([a], [b]) => a - b).join(" ");
      const name = `${node.offerIndex}/${content}`;
      const known = alike.get(name);
      if (known) known.nodeCount += 1;
      else alike.set(name, { node, bin, nodeCount: 1 });
    }
    return [...alike.values()]
      .map(({ node: { offerIndex }, bin, nodeCount }) => {
        const containers = new Map(this.#largestFirst(bin.containers));
        let room = roomOf(this.problem.offers[offerIndex]?.offer.resources ?? NOTHING);
        for (const [classIndex, quantity] of containers) {
          room = roomAfter(room, this.#needsOf(classIndex), quantity);
        }
        return { offerIndex, nodeCount, room, containers };
      })
      .sort((a, b) => a.offerIndex - b.offerIndex);
  }
}

function itemsOf(problem: Problem, worth: Worth): readonly Item[] {
  return problem.classes.flatMap(({ needs, unmetUsd }, classIndex) =>
    problem.probabilities.map((probability, scenarioIndex) => {
      const key = keyOf(problem, classIndex, scenarioIndex);
      return {
        key,
        classIndex,
        scenarioIndex,
        needs,
        probability,
        worthUsd: worth.containerUsd[key] ?? 0,
        unmetUsd: probability * unmetUsd,
      };
    }),
  );
}

function emptyJournal(usd: number): Journal {
  return { usd, added: [], removed: [], bins: [], open: new Map() };
}
