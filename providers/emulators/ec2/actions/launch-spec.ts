/** Reads and checks what RunInstances and launch templates ask for. */
import { instanceShape } from "../../../catalog/index.ts";
import { Ec2Error } from "../ec2-error.ts";
import type { LaunchSpec, Market } from "../instance.ts";
import { required, structsOf, wholeNumber, type QueryParams } from "../query.ts";
import type { ActionRequest } from "../world.ts";

/** A checked request: everything of a launch but the zone it gets. */
export interface WantedLaunch {
  readonly spec: Omit<LaunchSpec, "zone">;
  /** Absent leaves the zone to the cloud. */
  readonly zone?: string;
  readonly countMin: number;
  readonly countMax: number;
  /** The highest spot price that will be paid; absent means the on-demand price. */
  readonly spotUsdPerHourMax?: number;
  readonly dryRun: boolean;
}

/** Source of the limits: EC2 user guide, user data and idempotency (read 2026-11). */
const USER_DATA_BYTES_MAX = 16_384;
const TOKEN_LENGTH_MAX = 64;
const INSTANCE_COUNT_MAX = 1_000;

/** @throws Ec2Error for a missing, malformed or unknown parameter value. */
export function readLaunch({ region, params }: ActionRequest): WantedLaunch {
  const count = { min: 1, max: INSTANCE_COUNT_MAX };
  required(params, "MinCount");
  const countMin = wholeNumber(params, "MinCount", count) ?? 1;
  required(params, "MaxCount");
  const countMax = wholeNumber(params, "MaxCount", { ...count, min: countMin }) ?? countMin;
  const zone = params.get("Placement.AvailabilityZone");
  const market = marketOf(params);
  const clientToken = clientTokenOf(params);
  const price = params.get("InstanceMarketOptions.SpotOptions.MaxPrice");
  return {
    spec: {
      region,
      shape: shapeOf(required(params, "InstanceType")),
      market,
      imageId: imageIdOf(params),
      ...(clientToken === undefined ? {} : { clientToken }),
      userData: userDataOf(params),
      tags: instanceTagsOf(params),
    },
    ...(zone === undefined ? {} : { zone }),
    countMin,
    countMax,
    ...(price === undefined ? {} : { spotUsdPerHourMax: priceOf(price) }),
    dryRun: params.get("DryRun") === "true",
  };
}

/** What an instance takes from a launch template. */
export function templateSpecOf(
  data: QueryParams,
): Pick<LaunchSpec, "imageId" | "userData" | "tags"> {
  return { imageId: imageIdOf(data), userData: userDataOf(data), tags: instanceTagsOf(data) };
}

/** Tags of a list `prefix.N.Key`, `prefix.N.Value`. @throws Ec2Error for a bad tag. */
export function tagsOf(params: QueryParams, prefix: string): Readonly<Record<string, string>> {
  const tags = structsOf(params, prefix).map(
    (tag) => [required(tag, "Key"), tag.get("Value") ?? ""] as const,
  );
  for (const [key, value] of tags) {
    if (key.startsWith("aws:") || key.length > 128 || value.length > 256) {
      throw new Ec2Error("InvalidParameterValue", `The tag '${key}' is not valid`);
    }
  }
  return Object.fromEntries(tags);
}

function shapeOf(instanceType: string): LaunchSpec["shape"] {
  const shape = instanceShape("aws", instanceType);
  if (shape !== undefined) return shape;
  throw invalid(instanceType, "instanceType", "unknown instance type");
}

function imageIdOf(params: QueryParams): string {
  const imageId = required(params, "ImageId");
  if (/^(ami-([0-9a-f]{8}|[0-9a-f]{17})|resolve:ssm:\/.+)$/.test(imageId)) return imageId;
  throw new Ec2Error("InvalidAMIID.Malformed", `Invalid id: "${imageId}"`);
}

function marketOf(params: QueryParams): Market {
  const type = params.get("InstanceMarketOptions.MarketType");
  if (type === undefined) return "on-demand";
  if (type === "spot") return "spot";
  throw invalid(type, "MarketType", "this emulator has the market spot only");
}

/** @throws Ec2Error for a token that is too long or not ASCII. */
export function clientTokenOf(params: QueryParams): string | undefined {
  const token = params.get("ClientToken");
  if (token === undefined) return undefined;
  if (/^[\x20-\x7e]*$/.test(token) && token.length <= TOKEN_LENGTH_MAX) return token;
  throw invalid(token, "clientToken", `at most ${TOKEN_LENGTH_MAX} ASCII characters`);
}

function userDataOf(params: QueryParams): string {
  const encoded = params.get("UserData") ?? "";
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) {
    throw new Ec2Error("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data");
  }
  const bytes = Buffer.from(encoded, "base64");
  if (bytes.length <= USER_DATA_BYTES_MAX) return bytes.toString("utf8");
  throw new Ec2Error(
    "InvalidParameterValue",
    `User data is limited to ${USER_DATA_BYTES_MAX} bytes`,
  );
}

/** Tags for instances among the tag specifications of a call. */
export function instanceTagsOf(params: QueryParams): Readonly<Record<string, string>> {
  const tags: Record<string, string> = {};
  for (const specification of structsOf(params, "TagSpecification")) {
    if (specification.get("ResourceType") !== "instance") continue;
    Object.assign(tags, tagsOf(specification, "Tag"));
  }
  return tags;
}

function priceOf(text: string): number {
  const usd = Number(text);
  if (usd > 0) return usd;
  throw invalid(text, "maxPrice", "a price in USD per hour");
}

function invalid(value: string, name: string, why: string): Ec2Error {
  const message = `Invalid value '${value}' for ${name}: ${why}`;
  return new Ec2Error("InvalidParameterValue", message);
}
