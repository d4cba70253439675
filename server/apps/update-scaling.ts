/** Changes how functions scale, and with a function what its variants have in common with it. */
import { PlatformError } from "../../core/index.ts";
import type { ScalingUpdate } from "../../sdk/protocol/index.ts";
import type { RecordStore, StoredFunction } from "../store/record-store.ts";
import { explainIssues } from "./explain-issues.ts";
import { SCALING_FIELDS, specInForce } from "./find-function.ts";
import { scalingUpdateSchema } from "./spec-schema.ts";

export interface ScalingTarget {
  readonly store: Pick<RecordStore, "registry">;
  /** The scaling of a function has changed; `stored` is how it is now. */
  readonly onScaled: (stored: StoredFunction) => Promise<void>;
}

/**
 * Changes what `update` names and leaves the rest, in the function and in its variants: each
 * variant takes what it had in common with the function until now.
 *
 * @param find The function as it is now; asked again when it was replaced in the meantime.
 * @throws PlatformError `invalid_request` naming the field, and what `find` throws.
 */
export async function updateScaling(
  target: ScalingTarget,
  find: () => Promise<StoredFunction>,
  update: ScalingUpdate,
): Promise<StoredFunction> {
  const before = await find();
  const checked = checkedUpdate(update, `${before.deployment.app}/${before.name}`);
  const scaling = { ...before.scaling, ...checked };
  const { minContainers = 0, maxContainers = Infinity } = { ...before.spec, ...scaling };
  if (minContainers > maxContainers) throw crossedBounds(minContainers, maxContainers);
  const stored = await setScaling(target, before, scaling);
  // It was replaced a moment ago: the same is asked of its successor.
  if (stored === undefined) return updateScaling(target, find, update);
  for (const variant of await variantsOf(target, before)) {
    const followed = followedBy(variant, before, checked);
    if (Object.keys(followed).length === 0) continue;
    await setScaling(target, variant, { ...variant.scaling, ...followed });
  }
  return stored;
}

async function setScaling(
  { store, onScaled }: ScalingTarget,
  before: StoredFunction,
  scaling: ScalingUpdate,
): Promise<StoredFunction | undefined> {
  if (!(await store.registry.setScaling(before.functionId, scaling))) return undefined;
  const stored = { ...before, scaling };
  await onScaled(stored);
  return stored;
}

/** Variants of a function in its deployment; a variant has none. */
async function variantsOf(
  { store }: ScalingTarget,
  { variant, name, deployment }: StoredFunction,
): Promise<readonly StoredFunction[]> {
  if (variant !== undefined) return [];
  const deployments = await store.registry.list(deployment.workspaceId);
  const own = deployments.find(({ appId }) => appId === deployment.appId);
  const variants = own?.functions.filter((each) => each.variant?.base === name) ?? [];
  return variants.map((each) => ({ ...each, deployment }));
}

/** What of an update a variant takes; a floor ends at a limit that is the variant's own. */
function followedBy(
  variant: StoredFunction,
  base: StoredFunction,
  update: ScalingUpdate,
): ScalingUpdate {
  const [own, common] = [specInForce(variant), specInForce(base)];
  const fields = SCALING_FIELDS.filter(
    (field) => update[field] !== undefined && own[field] === common[field],
  );
  const followed: ScalingUpdate = Object.fromEntries(fields.map((field) => [field, update[field]]));
  const { minContainers, maxContainers } = { ...own, ...followed };
  if (minContainers <= maxContainers) return followed;
  return { ...followed, minContainers: maxContainers };
}

function checkedUpdate(update: ScalingUpdate, what: string): ScalingUpdate {
  const checked = scalingUpdateSchema.safeParse(update);
  if (checked.success) return checked.data;
  throw invalid(explainIssues(`scaling ${what.slice(0, 160)}`, checked.error.issues));
}

function crossedBounds(minContainers: number, maxContainers: number): PlatformError {
  return invalid(
    `minContainers (${minContainers}) would be above maxContainers (${maxContainers}); ` +
      "change both in one request",
  );
}

function invalid(message: string): PlatformError {
  return new PlatformError(message, { code: "invalid_request", retryable: false });
}
