/**
 * The EC2 calls of one region, over the AWS SDK.
 *
 * Every call has a deadline: without `throwOnRequestTimeout` the SDK only warns about an
 * endpoint that never answers, and waits on. The SDK itself repeats a call at most twice, and
 * stops to do so in an outage; the caller's own loop must carry that.
 */
import type {
  DescribeInstancesCommandInput,
  DescribeInstancesCommandOutput,
  EC2Client,
  RunInstancesCommandInput,
  RunInstancesCommandOutput,
} from "@aws-sdk/client-ec2";

/** How long one try of a call may take, in ms. */
export interface AwsTimeouts {
  readonly connectMs: number;
  /** For calls that only read. */
  readonly readMs: number;
  /** For calls that rent or release. */
  readonly changeMs: number;
}

export const DEFAULT_AWS_TIMEOUTS: AwsTimeouts = {
  connectMs: 3_000,
  readMs: 5_000,
  changeMs: 30_000,
};

/** Long-lived or temporary keys. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface Ec2CallsOptions {
  readonly region: string;
  /** Absent means AWS itself. */
  readonly endpoint?: string;
  /** Absent means the SDK's own search: environment, profile, machine role. */
  readonly credentials?: AwsCredentials;
  readonly timeouts: AwsTimeouts;
}

/** The calls that the provider makes; they reject with the SDK's own errors. */
export interface Ec2Calls {
  readonly region: string;
  readonly runInstances: (input: RunInstancesCommandInput) => Promise<RunInstancesCommandOutput>;
  readonly describeInstances: (
    input: DescribeInstancesCommandInput,
  ) => Promise<DescribeInstancesCommandOutput>;
  readonly createTags: (
    instanceId: string,
    tags: Readonly<Record<string, string>>,
  ) => Promise<unknown>;
  readonly terminateInstances: (instanceIds: readonly string[]) => Promise<unknown>;
  readonly close: () => void;
}

const ATTEMPT_COUNT_MAX = 3;

/** Loads the SDK, which takes some tenths of a second the first time, and makes a client. */
export async function openEc2Calls(options: Ec2CallsOptions): Promise<Ec2Calls> {
  const sdk = await import("@aws-sdk/client-ec2");
  const { region, endpoint, credentials, timeouts } = options;
  const client: EC2Client = new sdk.EC2Client({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials === undefined ? {} : { credentials }),
    maxAttempts: ATTEMPT_COUNT_MAX,
    retryMode: "standard",
    requestHandler: {
      connectionTimeout: timeouts.connectMs,
      requestTimeout: timeouts.changeMs,
      throwOnRequestTimeout: true,
    },
  });
  const reading = { requestTimeout: timeouts.readMs };
  return {
    region,
    runInstances: (input) => client.send(new sdk.RunInstancesCommand(input)),
    describeInstances: (input) => client.send(new sdk.DescribeInstancesCommand(input), reading),
    createTags: (instanceId, tags) =>
      client.send(
        new sdk.CreateTagsCommand({
          Resources: [instanceId],
          Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
        }),
      ),
    terminateInstances: (instanceIds) =>
      client.send(new sdk.TerminateInstancesCommand({ InstanceIds: [...instanceIds] })),
    close: () => client.destroy(),
  };
}
