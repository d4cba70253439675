/**
 * Variants: the same code with other options, or a class with some parameters.
 *
 * A variant is a function of its own, with its own queue and containers, in the deployment of
 * the one that it is of. Its name stands for what it differs in, so that asking again finds it
 * and what was learned of its load outlives a deployment.
 */
import { createHash } from "node:crypto";
import { PlatformError, type IdSource } from "../../core/index.ts";
import type { FunctionOptions, FunctionVariant } from "../../sdk/protocol/index.ts";
import type { Principal, VariantWish } from "../services.ts";
import { VARIANTS_MAX, type RecordStore } from "../store/record-store.ts";
import { explainIssues } from "./explain-issues.ts";
import { functionSpecSchema } from "./spec-schema.ts";

export interface VariantSource {
  readonly store: Pick<RecordStore, "registry">;
  readonly ids: IdSource;
}

const NAME_CHARACTERS = 16;

/**
 * The variant, made on first need.
 *
 * @throws PlatformError `not_found`, also for what is another workspace's or runs no more;
 *   `invalid_request` naming the option; `quota_exceeded` when a deployment has too many.
 */
export async function openVariant(
  { store, ids }: VariantSource,
  who: Principal,
  functionId: string,
  { options, params }: VariantWish,
): Promise<FunctionVariant> {
  const base = await store.registry.getFunction(functionId);
  if (base?.deployment.workspaceId !== who.workspaceId) throw noFunction(functionId);
  // What was updated of the function since its deployment holds for its variants too.
  const wished: Record<string, unknown> = { ...base.spec, ...base.scaling, ...options };
  // Only the function itself is called by schedule, and at its URL.
  delete wished["schedule"];
  delete wished["web"];
  const checked = functionSpecSchema.safeParse(wished);
  if (checked.error !== undefined) {
    throw new PlatformError(
      explainIssues(`options of function ${base.name}`, checked.error.issues),
      { code: "invalid_request", retryable: false },
    );
  }
  const name = `${base.name}@${digestOf(options, params)}`;
  const outcome = await store.registry.addVariant({
    baseFunctionId: functionId,
    functionId: ids.next("fn"),
    name,
    spec: checked.data,
    params,
  });
  switch (outcome.kind) {
    case "found":
      return { functionId: outcome.functionId, name };
    case "not_found":
      throw noFunction(functionId);
    case "full":
      throw new PlatformError(
        `app ${base.deployment.app} has ${VARIANTS_MAX} variants of its functions already; ` +
          "pass what differs as arguments, or deploy the app again to begin anew",
        { code: "quota_exceeded", retryable: false },
      );
  }
}

/** Equal options in any order, and equal parameters, give equal digests. */
function digestOf(options: FunctionOptions, params: Uint8Array): string {
  const sorted = JSON.stringify(options, (_, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
  const hash = createHash("sha256").update(sorted).update("\0").update(params);
  return hash.digest("hex").slice(0, NAME_CHARACTERS);
}

function noFunction(functionId: string): PlatformError {
  return new PlatformError(
    `there is no function ${functionId} that could have variants: look it up again`,
    { code: "not_found", retryable: false },
  );
}
