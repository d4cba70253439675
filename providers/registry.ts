/** The providers of one platform, by cloud. */
import type { CloudName } from "../core/index.ts";
import { createAwsProvider, type AwsProviderOptions } from "./aws/provider.ts";
import { createAzureProvider, type AzureProviderOptions } from "./azure/provider.ts";
import { createFakeProvider, type FakeProviderOptions } from "./fake/index.ts";
import { createGcpProvider, type GcpProviderOptions } from "./gcp/provider.ts";
import { createLocalProvider, type LocalProviderOptions } from "./local/provider.ts";
import type { Provider } from "./provider.ts";

export { azureImageOf } from "./azure/launch.ts";

/** Which clouds to rent from; an absent one is not used, and its SDK is not loaded. */
export interface ProvidersOptions {
  readonly aws?: AwsProviderOptions;
  readonly azure?: AzureProviderOptions;
  readonly gcp?: GcpProviderOptions;
  /** The machine that this runs on. */
  readonly local?: LocalProviderOptions;
  readonly fake?: FakeProviderOptions;
}

/**
 * Opens the named rental desks; makes no call yet.
 *
 * @throws PlatformError when one cannot be opened; then none is left open.
 */
export async function createProviders(
  options: ProvidersOptions,
): Promise<ReadonlyMap<CloudName, Provider>> {
  const { aws, azure, gcp, local, fake } = options;
  const opening = [
    aws && createAwsProvider(aws),
    azure && createAzureProvider(azure),
    gcp && createGcpProvider(gcp),
    local && Promise.resolve(createLocalProvider(local)),
    fake && Promise.resolve(createFakeProvider(fake)),
  ].filter((provider) => provider !== undefined);
  const results = await Promise.allSettled(opening);
  const opened = results.flatMap((result) => (result.status === "fulfilled" ? result.value : []));
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) {
    await Promise.all(opened.map((provider) => provider.close()));
    throw failed.reason;
  }
  return new Map(opened.map((provider) => [provider.cloud, provider]));
}
