/** What the body of a machine's create asks for, checked as Azure checks it. */
import { z } from "zod";
import { instanceShape } from "../../../catalog/index.ts";
import { ArmError } from "../arm-error.ts";
import { bodyOf, requireRegion, resourceId, tagsSchema, type ArmCall } from "../call.ts";
import type { Dependent, InlineInterface, JsonObject, MachineSpec } from "../machine.ts";
import { isSold } from "../market.ts";
import { ZONES, type World } from "../world.ts";

/** Longest decoded custom data and user data in bytes (Compute API, OSProfile, 2026-04-01). */
const BOOT_DATA_BYTES_MAX = 65_536;
const COMPUTER_NAME_CHARACTERS_MAX = 64;
const TAG_COUNT_MAX = 50;

const deleteOption = z.enum(["Delete", "Detach"]).optional();
const addressSchema = z.looseObject({
  name: z.string().min(1),
  tags: tagsSchema.optional(),
  properties: z.looseObject({ deleteOption }).optional(),
});
const inlineInterfaceSchema = z.looseObject({
  name: z.string().min(1),
  tags: tagsSchema.optional(),
  properties: z.looseObject({
    deleteOption,
    ipConfigurations: z
      .array(
        z.looseObject({
          name: z.string().min(1),
          properties: z.looseObject({
            subnet: z.looseObject({ id: z.string().min(1) }),
            publicIPAddressConfiguration: addressSchema.optional(),
          }),
        }),
      )
      .min(1),
  }),
});
const machineSchema = z.looseObject({
  location: z.string().min(1),
  tags: tagsSchema.optional(),
  zones: z.array(z.string()).max(1).optional(),
  properties: z.looseObject({
    hardwareProfile: z.looseObject({ vmSize: z.string().min(1) }),
    priority: z.enum(["Regular", "Low", "Spot"]).optional(),
    evictionPolicy: z.enum(["Deallocate", "Delete"]).optional(),
    userData: z.string().optional(),
    osProfile: z.looseObject({
      computerName: z.string().min(1),
      adminUsername: z.string().min(1),
      adminPassword: z.string().optional(),
      customData: z.string().optional(),
      linuxConfiguration: z
        .looseObject({ ssh: z.looseObject({ publicKeys: z.array(z.unknown()) }).optional() })
        .optional(),
    }),
    storageProfile: z.looseObject({
      imageReference: z.looseObject({}),
      osDisk: z.looseObject({
        name: z.string().min(1).optional(),
        createOption: z.string(),
        deleteOption,
      }),
    }),
    networkProfile: z.looseObject({
      networkInterfaces: z
        .array(
          z.looseObject({
            id: z.string().min(1),
            properties: z.looseObject({ deleteOption }).optional(),
          }),
        )
        .optional(),
      networkApiVersion: z.string().optional(),
      networkInterfaceConfigurations: z.array(inlineInterfaceSchema).optional(),
    }),
  }),
});
type MachineBody = z.infer<typeof machineSchema>;
type Properties = MachineBody["properties"];

/** A checked create: the machine, and the tags it is to carry. */
export interface MachineCreate {
  readonly spec: MachineSpec;
  readonly tags: Readonly<Record<string, string>>;
}

/** @throws ArmError with status 400, for what this Azure would not create. */
export function machineCreateOf(world: World, call: ArmCall): MachineCreate {
  const body = bodyOf(machineSchema, call);
  const { properties, tags = {} } = body;
  const region = requireRegion(world, body.location, "Microsoft.Compute/virtualMachines");
  const market = marketOf(properties);
  checkEviction(properties, market);
  checkLogin(properties);
  checkTags(tags);
  const customData = decoded(properties.osProfile.customData, "osProfile.customData");
  const userData = decoded(properties.userData, "userData");
  const spec: MachineSpec = {
    id: resourceId(call, "Microsoft.Compute", "virtualMachines"),
    subscriptionId: call.subscriptionId,
    resourceGroup: call.resourceGroup,
    name: call.name,
    region,
    ...zoneOf(body, region),
    market,
    shape: shapeOf(region, properties.hardwareProfile.vmSize),
    evictionPolicy: properties.evictionPolicy ?? "Deallocate",
    fingerprint: fingerprintOf(body),
    shown: shownOf(properties),
    ...(properties.userData === undefined ? {} : { userData: properties.userData }),
    bootData: customData === "" ? userData : customData,
    interfaces: interfacesOf(call, properties),
    inlineInterfaces: inlineInterfacesOf(call, properties),
    osDisk: diskOf(call, properties),
  };
  return { spec, tags };
}

function marketOf({ priority = "Regular" }: Properties): MachineSpec["market"] {
  return priority === "Regular" ? "on-demand" : "spot";
}

function shapeOf(region: string, vmSize: string): MachineSpec["shape"] {
  const shape = isSold(region, vmSize) ? instanceShape("azure", vmSize) : undefined;
  if (shape !== undefined) return shape;
  const message = `The value ${vmSize} provided for the VM size is not valid in ${region}.`;
  throw invalid("vmSize", message);
}

function zoneOf({ zones = [] }: MachineBody, region: string): { readonly zone?: string } {
  const [zone] = zones;
  if (zone === undefined) return {};
  if (ZONES.includes(zone)) return { zone };
  const message =
    `The zone(s) '${zone}' for resource type 'virtualMachines' is not supported. The supported ` +
    `zones for location '${region}' are '${ZONES.join(",")}'.`;
  throw new ArmError(400, "InvalidAvailabilityZone", message);
}

/** Interfaces that are there already, and those that are made with the machine. */
function interfacesOf(call: ArmCall, { networkProfile }: Properties): readonly Dependent[] {
  const { networkInterfaces: present = [], networkInterfaceConfigurations: inline = [] } =
    networkProfile;
  if (present.length + inline.length === 0) {
    throw invalid("networkProfile", "The VM must have at least one network interface.");
  }
  if (inline.length > 0 && networkProfile.networkApiVersion === undefined) {
    const message = "Required parameter 'networkProfile.networkApiVersion' is missing (null).";
    throw invalid("networkApiVersion", message);
  }
  return [
    ...present.map(({ id, properties }) => ({
      id,
      deleteOption: properties?.deleteOption ?? ("Detach" as const),
    })),
    ...inline.map(({ name, properties }) => ({
      id: resourceId({ ...call, name }, "Microsoft.Network", "networkInterfaces"),
      deleteOption: properties.deleteOption ?? ("Detach" as const),
    })),
  ];
}

function inlineInterfacesOf(
  call: ArmCall,
  { networkProfile }: Properties,
): readonly InlineInterface[] {
  const { networkInterfaceConfigurations: inline = [] } = networkProfile;
  return inline.map(({ name, tags = {}, properties }) => {
    const subnets = properties.ipConfigurations.map((one) => one.properties.subnet.id);
    const malformed = subnets.find((id) => !SUBNET.test(id));
    if (malformed !== undefined) {
      const message = `Value for reference id is missing or malformed. Path ${malformed}`;
      throw new ArmError(400, "LinkedInvalidPropertyId", message);
    }
    const addresses = properties.ipConfigurations.flatMap((one) => {
      const address = one.properties.publicIPAddressConfiguration;
      if (address === undefined) return [];
      return [{ name: address.name, tags: address.tags ?? {}, ...dependentAddress(call, address) }];
    });
    const id = resourceId({ ...call, name }, "Microsoft.Network", "networkInterfaces");
    return { id, name, tags, properties, addresses };
  });
}

function dependentAddress(call: ArmCall, address: z.infer<typeof addressSchema>): Dependent {
  const { name, properties } = address;
  const id = resourceId({ ...call, name }, "Microsoft.Network", "publicIPAddresses");
  return { id, deleteOption: properties?.deleteOption ?? "Detach" };
}

const SUBNET = /\/virtualNetworks\/[^/]+\/subnets\/[^/]+$/i;

function diskOf(call: ArmCall, { storageProfile }: Properties): Dependent {
  const { name = `${call.name}_OsDisk_1`, deleteOption: option = "Detach" } = storageProfile.osDisk;
  const id = resourceId({ ...call, name }, "Microsoft.Compute", "disks");
  return { id, deleteOption: option };
}

function checkEviction({ evictionPolicy }: Properties, market: MachineSpec["market"]): void {
  if (evictionPolicy === undefined || market === "spot") return;
  const message = "Eviction policy can be set only on Azure Spot Virtual Machines.";
  throw invalid("evictionPolicy", message);
}

/** Azure wants a way to log in: a password or an SSH key. */
function checkLogin({ osProfile }: Properties): void {
  const { adminPassword, linuxConfiguration, computerName } = osProfile;
  if (computerName.length > COMPUTER_NAME_CHARACTERS_MAX || !/^[\w.-]+$/.test(computerName)) {
    throw invalid("computerName", `Linux host name '${computerName}' is not valid.`);
  }
  const keys = linuxConfiguration?.ssh?.publicKeys ?? [];
  if (adminPassword !== undefined || keys.length > 0) return;
  throw invalid("adminPassword", "Required parameter 'adminPassword' is missing (null).");
}

function checkTags(tags: Readonly<Record<string, string>>): void {
  const names = Object.keys(tags);
  const bad = names.find((name) => /[<>%&\\?/]/.test(name) || name.length > 512);
  if (bad !== undefined) {
    const message = `The tag name '${bad}' has reserved characters '<,>,%,&,\\,?,/' or is too long.`;
    throw new ArmError(400, "InvalidTagNameCharacters", message);
  }
  const isLong = Object.values(tags).some((value) => value.length > 256);
  if (names.length <= TAG_COUNT_MAX && !isLong) return;
  const message = `A resource has at most ${TAG_COUNT_MAX} tags of at most 256 characters.`;
  throw new ArmError(400, "InvalidTag", message);
}

function decoded(text: string | undefined, parameter: string): string {
  if (text === undefined) return "";
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) {
    throw invalid(parameter, `${parameter} must be in Base64 encoding.`);
  }
  const bytes = Buffer.from(text, "base64");
  if (bytes.length <= BOOT_DATA_BYTES_MAX) return bytes.toString("utf8");
  const message = `${parameter} is longer than ${BOOT_DATA_BYTES_MAX} bytes.`;
  throw invalid(parameter, message);
}

/** What a later PUT may not change. */
function fingerprintOf({ zones, properties }: MachineBody): string {
  const { hardwareProfile, priority, osProfile, storageProfile } = properties;
  return JSON.stringify([
    zones ?? [],
    hardwareProfile.vmSize.toLowerCase(),
    priority ?? "Regular",
    osProfile.computerName,
    osProfile.customData ?? "",
    storageProfile.imageReference,
  ]);
}

/** The properties as a read shows them: secrets are write-only. */
function shownOf(properties: Properties): JsonObject {
  const isShown = ([name]: readonly [string, unknown]) =>
    !["userData", "adminPassword", "customData"].includes(name);
  const only = (all: object) => Object.fromEntries(Object.entries(all).filter(isShown));
  return { ...only(properties), osProfile: only(properties.osProfile) };
}

function invalid(target: string, message: string): ArmError {
  return new ArmError(400, "InvalidParameter", `${message} (${target})`);
}
