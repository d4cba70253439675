/** Class table: finds the class of needs without spelling out their key every time. */
import type { ContainerNeeds, Node, PlacedContainer } from "../../core/index.ts";
import { requestClassOf, type RequestClass } from "./request-class.ts";

/** Classes held; more than that and it starts afresh. */
const CLASS_COUNT_MAX = 4_096;

export class ClassTable {
  #byNeeds = new WeakMap<ContainerNeeds, RequestClass>();
  readonly #byKey = new Map<string, RequestClass>();

  /** The class of `needs`, one object for all equal needs. */
  of(needs: ContainerNeeds): RequestClass {
    const seen = this.#byNeeds.get(needs);
    if (seen !== undefined) return seen;
    const fresh = requestClassOf(needs);
    const request = this.#byKey.get(fresh.key) ?? fresh;
    if (this.#byKey.size >= CLASS_COUNT_MAX) {
      this.#byKey.clear();
      this.#byNeeds = new WeakMap();
    }
    this.#byKey.set(request.key, request);
    this.#byNeeds.set(needs, request);
    return request;
  }

  /** What a running container must have asked for, as far as can be told. */
  ofRunning(container: PlacedContainer, node: Node): RequestClass {
    if (container.needs !== undefined) return this.of(container.needs);
    const { gpuCount, cpuMilli, memoryMiB, diskMiB } = container.resources;
    const gpu = gpuCount > 0 && node.gpuType !== undefined;
    return this.of({
      ...(gpu ? { gpu: { types: [node.gpuType], count: gpuCount } } : {}),
      cpuMilli,
      memoryMiB,
      ...(diskMiB === undefined ? {} : { diskMiB }),
      preemptible: node.purchase === "spot",
    });
  }
}
