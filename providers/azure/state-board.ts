/**
 * The states of machines, by one list that all who wait for one share.
 *
 * Whoever asks gets a list that was begun after they asked: those who ask while one is under way
 * wait together for the next, and a list is begun when no create is on its way any more, or has
 * been for so long that the others need not wait for it. A list that fails shows nothing, and is no failure of the rent.
 */
import type { VirtualMachine } from "@azure/arm-compute";
import { PlatformError, type Clock } from "../../core/index.ts";
import type { AzureCalls } from "./calls.ts";
import { meaningOf } from "./translate.ts";

/** Longest wait for creates that are not answered yet. */
export const GATHER_MS = 2_500;

type States = ReadonlyMap<string, VirtualMachine>;

/** The board of one batch. */
export class StateBoard {
  readonly #calls: Pick<AzureCalls, "listMachineStates">;
  readonly #groupPart: string;
  #current: Promise<States> = Promise.resolve(new Map());
  #next: Promise<States> | undefined;
  #creatingCount = 0;
  #idle = Promise.withResolvers<undefined>();
  readonly #clock: Clock;

  constructor(calls: Pick<AzureCalls, "listMachineStates" | "resourceGroup">, clock: Clock) {
    this.#calls = calls;
    this.#clock = clock;
    this.#groupPart = `/resourcegroups/${calls.resourceGroup.toLowerCase()}/`;
  }

  /** Makes a create, whose machine the next list is to have. */
  async creating<T>(create: () => Promise<T>): Promise<T> {
    this.#creatingCount += 1;
    try {
      return await create();
    } finally {
      this.#creatingCount -= 1;
      if (this.#creatingCount === 0) {
        this.#idle.resolve(undefined);
        this.#idle = Promise.withResolvers();
      }
    }
  }

  /** The machine with its instance view; undefined when the list does not have it. */
  async of(machineName: string): Promise<VirtualMachine | undefined> {
    this.#next ??= this.#begin(this.#current);
    return (await this.#next).get(machineName);
  }

  async #begin(current: Promise<States>): Promise<States> {
    await current;
    await this.#gathered();
    this.#next = undefined;
    this.#current = this.#list();
    return this.#current;
  }

  async #gathered(): Promise<void> {
    if (this.#creatingCount === 0) return;
    const settled = new AbortController();
    const late = this.#clock.sleep(GATHER_MS, settled.signal);
    await Promise.race([this.#idle.promise, late]);
    settled.abort();
    late.catch(() => undefined);
  }

  async #list(): Promise<States> {
    try {
      const machines = await this.#calls.listMachineStates();
      const own = machines.filter(({ id }) => id?.toLowerCase().includes(this.#groupPart));
      return new Map(own.map((machine) => [machine.name ?? "", machine]));
    } catch (error) {
      if (!(error instanceof PlatformError) && meaningOf(error) === undefined) throw error;
      return new Map();
    }
  }
}
