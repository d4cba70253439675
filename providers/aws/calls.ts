/**
 * The EC2 calls of one region, over the AWS SDK.
 *
 * Every call keeps to the account's rate limits and has a deadline: without
 * `throwOnRequestTimeout` the SDK only warns about an endpoint that never answers, and waits on.
 * The SDK repeats a call at most twice, and only after a failure of the network or the server;
 * throttles are the rate limiter's business, and an outage is that of the caller's own loop.
 */
import type {
  CreateFleetCommandInput,
  CreateFleetCommandOutput,
  CreateLaunchTemplateCommandInput,
  DescribeInstancesCommandInput,
  DescribeInstancesCommandOutput,
  DescribeInstanceTypeOfferingsCommandInput,
  DescribeInstanceTypeOfferingsCommandOutput,
  DescribeLaunchTemplatesCommandInput,
  DescribeLaunchTemplatesCommandOutput,
  DescribeSpotPriceHistoryCommandInput,
  DescribeSpotPriceHistoryCommandOutput,
  EC2Client,
  EC2ClientConfig,
  RunInstancesCommandInput,
  RunInstancesCommandOutput,
} from "@aws-sdk/client-ec2";
import {
  CHANGE_DEADLINE_MS,
  READ_DEADLINE_MS,
  type RateLimiter,
  type Urgency,
} from "../rate-limit.ts";
import { throttleOf } from "./translate.ts";

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
  readMs: READ_DEADLINE_MS,
  changeMs: CHANGE_DEADLINE_MS,
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
  readonly limiter: RateLimiter;
}

/** The calls that the provider makes; they reject with the SDK's own errors, or at a deadline. */
export interface Ec2Calls {
  readonly region: string;
  readonly runInstances: (input: RunInstancesCommandInput) => Promise<RunInstancesCommandOutput>;
  readonly createFleet: (input: CreateFleetCommandInput) => Promise<CreateFleetCommandOutput>;
  readonly createLaunchTemplate: (input: CreateLaunchTemplateCommandInput) => Promise<unknown>;
  readonly describeLaunchTemplates: (
    input: DescribeLaunchTemplatesCommandInput,
  ) => Promise<DescribeLaunchTemplatesCommandOutput>;
  readonly deleteLaunchTemplate: (name: string) => Promise<unknown>;
  readonly describeInstances: (
    input: DescribeInstancesCommandInput,
  ) => Promise<DescribeInstancesCommandOutput>;
  readonly describeSpotPriceHistory: (
    input: DescribeSpotPriceHistoryCommandInput,
  ) => Promise<DescribeSpotPriceHistoryCommandOutput>;
  readonly describeInstanceTypeOfferings: (
    input: DescribeInstanceTypeOfferingsCommandInput,
  ) => Promise<DescribeInstanceTypeOfferingsCommandOutput>;
  readonly terminateInstances: (instanceIds: readonly string[]) => Promise<unknown>;
  readonly close: () => void;
}

const ATTEMPT_COUNT_MAX = 3;
const RETRY_PAUSE_MS = 50;

/** Loads the SDK, which takes some tenths of a second the first time, and makes a client. */
export async function openEc2Calls(options: Ec2CallsOptions): Promise<Ec2Calls> {
  const sdk = await import("@aws-sdk/client-ec2");
  const { region, endpoint, credentials, timeouts, limiter } = options;
  const client: EC2Client = new sdk.EC2Client({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials === undefined ? {} : { credentials }),
    retryStrategy: RETRIES,
    requestHandler: {
      connectionTimeout: timeouts.connectMs,
      requestTimeout: timeouts.changeMs,
      throwOnRequestTimeout: true,
    },
  });
  /** EC2 counts each action of each region against a bucket of its own. */
  const within = <T>(
    action: string,
    urgency: Urgency,
    send: (how: SendOptions) => Promise<T>,
  ): Promise<T> => {
    const deadlineMs = urgency === "read" ? timeouts.readMs : timeouts.changeMs;
    return limiter.call({
      api: `${region}/${action}`,
      urgency,
      deadlineMs,
      run: (abortSignal) => send({ abortSignal, requestTimeout: deadlineMs }),
      throttleOf,
    });
  };
  return {
    region,
    runInstances: (input) =>
      within("RunInstances", "rent", (how) => client.send(new sdk.RunInstancesCommand(input), how)),
    createFleet: (input) =>
      within("CreateFleet", "rent", (how) => client.send(new sdk.CreateFleetCommand(input), how)),
    createLaunchTemplate: (input) =>
      within("CreateLaunchTemplate", "rent", (how) =>
        client.send(new sdk.CreateLaunchTemplateCommand(input), how),
      ),
    describeLaunchTemplates: (input) =>
      within("DescribeLaunchTemplates", "read", (how) =>
        client.send(new sdk.DescribeLaunchTemplatesCommand(input), how),
      ),
    deleteLaunchTemplate: (LaunchTemplateName) =>
      within("DeleteLaunchTemplate", "read", (how) =>
        client.send(new sdk.DeleteLaunchTemplateCommand({ LaunchTemplateName }), how),
      ),
    describeInstances: (input) =>
      within("DescribeInstances", "read", (how) =>
        client.send(new sdk.DescribeInstancesCommand(input), how),
      ),
    describeSpotPriceHistory: (input) =>
      within("DescribeSpotPriceHistory", "read", (how) =>
        client.send(new sdk.DescribeSpotPriceHistoryCommand(input), how),
      ),
    describeInstanceTypeOfferings: (input) =>
      within("DescribeInstanceTypeOfferings", "read", (how) =>
        client.send(new sdk.DescribeInstanceTypeOfferingsCommand(input), how),
      ),
    terminateInstances: (instanceIds) =>
      within("TerminateInstances", "release", (how) =>
        client.send(new sdk.TerminateInstancesCommand({ InstanceIds: [...instanceIds] }), how),
      ),
    close: () => client.destroy(),
  };
}

interface SendOptions {
  readonly abortSignal: AbortSignal;
  readonly requestTimeout: number;
}

type RetryStrategy = Exclude<NonNullable<EC2ClientConfig["retryStrategy"]>, { retry: unknown }>;
type RetryToken = Awaited<ReturnType<RetryStrategy["acquireInitialRetryToken"]>>;

/**
 * The SDK's retries: up to `ATTEMPT_COUNT_MAX` tries after failures below or inside EC2, under
 * the same client token. The SDK's own strategy would repeat throttles too, past the limiter.
 */
const RETRIES: RetryStrategy = {
  acquireInitialRetryToken: () => Promise.resolve(tokenOf(0)),
  refreshRetryTokenForRetry: (token, { error, errorType }) => {
    const count = token.getRetryCount() + 1;
    const isWorthIt = errorType === "TRANSIENT" || errorType === "SERVER_ERROR";
    if (isWorthIt && count < ATTEMPT_COUNT_MAX) return Promise.resolve(tokenOf(count));
    return Promise.reject(error instanceof Error ? error : new Error(String(error)));
  },
  recordSuccess: () => undefined,
};

function tokenOf(count: number): RetryToken {
  return { getRetryCount: () => count, getRetryDelay: () => RETRY_PAUSE_MS * count };
}
