/** One call as an action sees it, and its answer. */
import { z } from "zod";
import { ArmError } from "./arm-error.ts";
import type { Fate } from "./faults.ts";
import type { JsonObject } from "./machine.ts";
import type { Operation } from "./operations.ts";
import type { Route } from "./route.ts";
import type { World } from "./world.ts";

export interface ArmCall extends Route {
  readonly method: string;
  readonly query: URLSearchParams;
  /** Header names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** As sent; undefined without one. */
  readonly body: unknown;
  /** Such as `http://127.0.0.1:40123`: what addresses in answers begin with. */
  readonly origin: string;
  /** Path and query as sent. */
  readonly url: string;
  /** What is to become of the machine that the call creates. */
  readonly fate?: Fate;
}

/** A proper answer. */
export interface ArmAnswer {
  readonly status: number;
  readonly body?: JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Does one action. Throws `ArmError`. */
export type ActionHandler = (world: World, call: ArmCall) => ArmAnswer;

/** The id of the resource that a call names. */
export function resourceId(
  { subscriptionId, resourceGroup, name }: Route,
  namespace: string,
  type: string,
): string {
  const group = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}`;
  return `${group}/providers/${namespace}/${type}/${name}`;
}

/** The 404 of a resource that does not exist. */
export function resourceNotFound(id: string, { resourceGroup }: Route): ArmError {
  const what = id.split("/providers/")[1] ?? id;
  const text = `The Resource '${what}' under resource group '${resourceGroup}' was not found.`;
  const more = "For more details please go to https://aka.ms/ARMResourceNotFoundFix";
  return new ArmError(404, "ResourceNotFound", `${text} ${more}`);
}

/** Requires the call's resource group. @throws ArmError `ResourceGroupNotFound`. */
export function requireGroup(world: World, { subscriptionId, resourceGroup }: Route): void {
  const key = `${subscriptionId}/${resourceGroup}`.toLowerCase();
  if (world.resourceGroups.has(key)) return;
  const message = `Resource group '${resourceGroup}' could not be found.`;
  throw new ArmError(404, "ResourceGroupNotFound", message);
}

/** Requires a region of this Azure. @throws ArmError `LocationNotAvailableForResourceType`. */
export function requireRegion(world: World, location: string, type: string): string {
  const region = location.toLowerCase().replaceAll(" ", "");
  if (world.regions.includes(region)) return region;
  throw new ArmError(
    400,
    "LocationNotAvailableForResourceType",
    `The provided location '${location}' is not available for resource type '${type}'. ` +
      `List of available regions for the resource type is '${world.regions.join(",")}'.`,
  );
}

/** The body by a schema. @throws ArmError `InvalidRequestContent` that says what is wrong. */
export function bodyOf<T>(schema: z.ZodType<T>, { body }: ArmCall): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const why = z.prettifyError(parsed.error);
  const message = `The request content was invalid and could not be deserialized: ${why}`;
  throw new ArmError(400, "InvalidRequestContent", message);
}

export const tagsSchema = z.record(z.string(), z.string());

/**
 * Headers that point to the status of a running operation; those without a result of their own
 * (deletes, actions) have a `Location` too.
 */
export function operationHeaders(
  world: World,
  { origin, subscriptionId, query, method }: ArmCall,
  { namespace, location, operationId }: Operation,
): Readonly<Record<string, string>> {
  const base = `${origin}/subscriptions/${subscriptionId}/providers/${namespace}`;
  const version = `api-version=${query.get("api-version") ?? ""}`;
  const at = (kind: string) => `${base}/locations/${location}/${kind}/${operationId}?${version}`;
  const hasResult = method === "PUT" || method === "PATCH";
  return {
    "azure-asyncoperation": at("operations"),
    ...(hasResult ? {} : { location: at("operationResults") }),
    "retry-after": String(world.settings().retryAfterS),
  };
}
