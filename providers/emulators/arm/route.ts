/**
 * Which action a method and a path ask for.
 *
 * Paths of Azure Resource Manager compare without case, and end where a resource type, a
 * resource or one of its actions ends.
 */

/** A call that has been understood, before it is done. */
export interface Route {
  /** Such as `VirtualMachines.CreateOrUpdate`. */
  readonly action: string;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly name: string;
  /** From the path; empty when only the resource knows it. */
  readonly location: string;
}

const SUBSCRIPTION = "/subscriptions/(?<subscriptionId>[^/]+)";
const GROUP = `${SUBSCRIPTION}/resourceGroups/(?<resourceGroup>[^/]+)`;
const COMPUTE = "providers/Microsoft\\.Compute";
const NETWORK = "providers/Microsoft\\.Network";
const NAME = "(?<name>[^/]+)";

interface Row {
  readonly method: string;
  readonly path: RegExp;
  readonly action: string;
}

const ROWS: readonly Row[] = [
  ...resourceRows("VirtualMachines", COMPUTE, "virtualMachines"),
  row(
    "GET",
    `${GROUP}/${COMPUTE}/virtualMachines/${NAME}/instanceView`,
    "VirtualMachines.InstanceView",
  ),
  row(
    "POST",
    `${GROUP}/${COMPUTE}/virtualMachines/${NAME}/simulateEviction`,
    "VirtualMachines.SimulateEviction",
  ),
  row(
    "POST",
    `${GROUP}/${COMPUTE}/virtualMachines/${NAME}/deallocate`,
    "VirtualMachines.Deallocate",
  ),
  ...resourceRows("NetworkInterfaces", NETWORK, "networkInterfaces"),
  ...resourceRows("PublicIPAddresses", NETWORK, "publicIPAddresses"),
  ...resourceRows("Disks", COMPUTE, "disks"),
  row("GET", `${SUBSCRIPTION}/${COMPUTE}/skus`, "ResourceSkus.List"),
  row("GET", located(COMPUTE, "virtualMachines"), "VirtualMachines.ListByLocation"),
  row("GET", located(COMPUTE, "usages"), "Usage.List"),
  row("GET", located(COMPUTE, `operations/${NAME}`), "Operations.Get"),
  row("GET", located(NETWORK, `operations/${NAME}`), "Operations.Get"),
  row("GET", located(COMPUTE, `operationResults/${NAME}`), "Operations.Result"),
  row("GET", located(NETWORK, `operationResults/${NAME}`), "Operations.Result"),
  row("GET", GROUP, "ResourceGroups.Get"),
  row("PUT", GROUP, "ResourceGroups.CreateOrUpdate"),
];

/** What is asked for; undefined when this Azure does not have it. */
export function routeOf(method: string, path: string): Route | undefined {
  for (const { method: wanted, path: pattern, action } of ROWS) {
    const groups = wanted === method ? pattern.exec(path)?.groups : undefined;
    if (groups === undefined) continue;
    const { subscriptionId = "", resourceGroup = "", name = "", location = "" } = groups;
    return { action, subscriptionId, resourceGroup, name: decodeURIComponent(name), location };
  }
  return undefined;
}

function resourceRows(group: string, provider: string, type: string): readonly Row[] {
  const one = `${GROUP}/${provider}/${type}/${NAME}`;
  return [
    row("PUT", one, `${group}.CreateOrUpdate`),
    row("GET", one, `${group}.Get`),
    row("PATCH", one, `${group}.Update`),
    row("DELETE", one, `${group}.Delete`),
    row("GET", `${GROUP}/${provider}/${type}`, `${group}.List`),
    row("GET", `${SUBSCRIPTION}/${provider}/${type}`, `${group}.ListAll`),
  ];
}

function located(provider: string, rest: string): string {
  return `${SUBSCRIPTION}/${provider}/locations/(?<location>[^/]+)/${rest}`;
}

function row(method: string, path: string, action: string): Row {
  return { method, path: new RegExp(`^${path}$`, "i"), action };
}
