/**
 * Whether the credentials may do what renting takes, found out without renting.
 *
 * Azure Resource Manager decides on rights before a resource provider looks at a body. So a
 * create that no provider can carry out (it names a size that does not exist) is answered 403
 * without the right and 400 with it, and the deletion of a machine that does not exist 403 or
 * 204.
 *
 * Source: Microsoft Learn, "What is Azure Resource Manager", consistent management layer: it
 * authenticates and authorizes a request and then sends it to the service (read 2026-11).
 */
import { messageOf, PlatformError } from "../../core/index.ts";
import type { AccessFinding } from "../provider.ts";
import type { AzureCalls } from "./calls.ts";
import { namesOf } from "./launch.ts";
import { failureOf, meaningOf } from "./translate.ts";

/** What is tried, and with which right. */
interface Trial {
  readonly right: string;
  readonly way: string;
  readonly run: () => Promise<unknown>;
}

/** Tries what renting takes, one right after the other. */
export async function probeRights(
  calls: AzureCalls,
  { clusterId, regions }: { readonly clusterId: string; readonly regions: readonly string[] },
): Promise<readonly AccessFinding[]> {
  const [location = ""] = regions;
  const name = namesOf("access-probe", clusterId).machine;
  const body = { location, hardwareProfile: { vmSize: "flotilla-no-such-size" } };
  const trials: readonly Trial[] = [
    {
      right: "Microsoft.Compute/virtualMachines/write",
      way: "a create that Azure cannot carry out",
      run: () => calls.createMachine(name, body),
    },
    {
      right: "Microsoft.Compute/virtualMachines/delete",
      way: "a delete of a machine that does not exist",
      run: () => calls.deleteMachine(name),
    },
    ...regions.flatMap((region) => [
      {
        right: `Microsoft.Compute/skus/read of ${region}`,
        way: "a list of sizes",
        run: () => calls.listSkus(region),
      },
      {
        right: `Microsoft.Compute/locations/usages/read of ${region}`,
        way: "a list of quotas",
        run: () => calls.listUsages(region),
      },
    ]),
  ];
  const findings: AccessFinding[] = [];
  for (const trial of trials) findings.push(await findingOf(trial));
  return findings;
}

/** Allowed when it worked, or was refused for what it asks and not for who asks. */
async function findingOf({ right, way, run }: Trial): Promise<AccessFinding> {
  const step = `${right} (by ${way})`;
  try {
    await run();
    return { step, isGood: true, detail: "allowed" };
  } catch (error) {
    const status = failureOf(error)?.status ?? 0;
    if (status === 400 || status === 404) return { step, isGood: true, detail: "allowed" };
    if (!(error instanceof PlatformError) && meaningOf(error) === undefined) throw error;
    const code = failureOf(error)?.code ?? "";
    const detail = code === "" ? messageOf(error) : `${code}: ${messageOf(error)}`;
    return { step, isGood: false, detail };
  }
}
