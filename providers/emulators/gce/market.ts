/** What the emulated cloud sells where: the built-in catalog. */
import { catalogOffers, instanceShape, type InstanceShape } from "../../catalog/index.ts";

/** Accelerators that can be attached to a machine, by Compute Engine's name. */
const ACCELERATOR_MODELS: ReadonlyMap<string, string> = new Map([
  ["nvidia-tesla-t4", "T4"],
  ["nvidia-tesla-v100", "V100"],
]);

/** The zones of some regions and what is sold there. */
export class Market {
  readonly regions: readonly string[];
  /** In ascending order. */
  readonly zones: readonly string[];
  readonly #sold: ReadonlySet<string>;

  constructor(regions: readonly string[]) {
    const offers = catalogOffers({ cloud: "gcp", regions, emulated: true });
    this.regions = regions;
    this.zones = [...new Set(offers.flatMap(({ zone }) => zone ?? []))].sort();
    this.#sold = new Set(
      offers.map(({ zone = "", instanceType, purchase }) => `${zone}/${instanceType}/${purchase}`),
    );
  }

  isSold(zone: string, instanceType: string, market: "on-demand" | "spot"): boolean {
    return this.#sold.has(`${zone}/${instanceType}/${market}`);
  }

  /** Short names of the machine types of a zone, accelerators apart, in ascending order. */
  machineTypesOf(zone: string): readonly string[] {
    const types = [...this.#sold]
      .map((key) => key.split("/"))
      .filter(([where]) => where === zone)
      .map(([, instanceType = ""]) => instanceType.replace(/\+.*$/, ""));
    return [...new Set(types)].sort();
  }
}

/** The hardware of a machine type with what is attached; undefined when there is no such thing. */
export function shapeOf(
  machineType: string,
  accelerator?: { readonly type: string; readonly count: number },
): InstanceShape | undefined {
  if (accelerator === undefined) return instanceShape("gcp", machineType);
  const model = ACCELERATOR_MODELS.get(accelerator.type);
  return model === undefined
    ? undefined
    : instanceShape("gcp", `${machineType}+${accelerator.count}x${model}`);
}

/** The region of a zone. */
export function regionOfZone(zone: string): string {
  return zone.replace(/-[a-z]$/, "");
}
