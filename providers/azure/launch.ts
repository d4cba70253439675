/** What the resources of a machine are called, what they carry, and what Azure is asked for. */
import { createHash, generateKeyPairSync } from "node:crypto";
import type { VirtualMachine } from "@azure/arm-compute";
import type { Offer } from "../../core/index.ts";
import { BATCH_TAG, type RentRequest } from "../provider.ts";

/** Tag keys that every resource of a machine carries from its first moment. */
export const CLUSTER_TAG = "flotilla:cluster";
export const NODE_TAG = "flotilla:node";
export const OFFER_TAG = "flotilla:offer";
/** When it was asked for, in ms since 1970: an interface does not say so itself. */
export const CREATED_TAG = "flotilla:created";

/** A machine image: an id of one's own, or one of the marketplace. */
export type AzureImage =
  | { readonly id: string }
  | {
      readonly publisher: string;
      readonly offer: string;
      readonly sku: string;
      readonly version: string;
    };

/**
 * The machine image when none is set: Azure's own for high-performance computing, which has
 * NVIDIA's drivers for the NC and ND sizes.
 *
 * Source: built from github.com/Azure/azhpc-images; SkyPilot's default for Azure since its pull
 * request 2468 (read 2026-11).
 */
export const DEFAULT_AZURE_IMAGE: AzureImage = {
  publisher: "microsoft-dsvm",
  offer: "ubuntu-hpc",
  sku: "2204",
  version: "latest",
};

/** An image from its resource id, or from `publisher:offer:sku:version`. */
export function azureImageOf(text: string): AzureImage {
  const [publisher = "", offer = "", sku = "", version = ""] = text.split(":");
  return text.startsWith("/") ? { id: text } : { publisher, offer, sku, version };
}

/** What a launch needs beside the rent request. */
export interface LaunchSettings {
  readonly clusterId: string;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly image: AzureImage;
  /** Subnet by region; else `flotilla-REGION/nodes` in the resource group. */
  readonly subnetIds: Readonly<Record<string, string>>;
  /** Whether each machine gets a public address; else its subnet must lead out. */
  readonly publicAddresses: boolean;
  /** OpenSSH public key of the administrator whom Azure insists on. */
  readonly sshPublicKey: string;
}

/** The names of one machine's resources. */
export interface MachineNames {
  readonly machine: string;
  readonly interface: string;
  readonly address: string;
  readonly disk: string;
}

const READABLE_CHARACTERS_MAX = 40;
const HASH_DIGITS = 8;
const ADMINISTRATOR = "flotilla";

/**
 * Names from a node id, so that a repeated create finds what is there. Azure's names compare
 * without case, lack `_` and are shared by a resource group: eight digits of a hash keep node
 * ids and clusters apart.
 */
export function namesOf(nodeId: string, clusterId: string): MachineNames {
  const hash = createHash("sha256").update(`${clusterId} ${nodeId}`).digest("hex");
  const readable = nodeId
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "")
    .slice(0, READABLE_CHARACTERS_MAX);
  const machine = `${readable || "node"}-${hash.slice(0, HASH_DIGITS)}`;
  return {
    machine,
    interface: `${machine}-nic`,
    address: `${machine}-ip`,
    disk: `${machine}-os`,
  };
}

/** One machine of a rent request, by one of its offers. */
export interface MachineOrder {
  readonly request: RentRequest;
  readonly nodeId: string;
  readonly offer: Offer;
  readonly nowMs: number;
}

/** Tags for every resource of a machine. */
export function tagsOf(order: MachineOrder, clusterId: string): Record<string, string> {
  const { request, nodeId, offer, nowMs } = order;
  return {
    ...request.tags,
    [CLUSTER_TAG]: clusterId,
    [NODE_TAG]: nodeId,
    [BATCH_TAG]: request.clientToken,
    [OFFER_TAG]: offer.offerId,
    [CREATED_TAG]: String(nowMs),
  };
}

/**
 * The machine with all that it needs: one call makes its interface, address and disk too, tagged
 * as it is itself, and they go with it; a spot machine is deleted when it is
 * evicted, and may cost up to the on-demand price, which the plan has looked at already. The
 * boot data goes as custom data, which cannot be read back through the metadata endpoint.
 */
export function machineBody(order: MachineOrder, settings: LaunchSettings): VirtualMachine {
  const { offer, request, nodeId } = order;
  const names = namesOf(nodeId, settings.clusterId);
  const tags = tagsOf(order, settings.clusterId);
  return {
    location: offer.region,
    tags,
    ...(offer.zone === undefined ? {} : { zones: [offer.zone] }),
    hardwareProfile: { vmSize: offer.instanceType },
    ...(offer.purchase === "spot" ? SPOT : { priority: "Regular" }),
    osProfile: {
      computerName: names.machine,
      adminUsername: ADMINISTRATOR,
      customData: Buffer.from(request.userData, "utf8").toString("base64"),
      linuxConfiguration: {
        disablePasswordAuthentication: true,
        ssh: {
          publicKeys: [
            {
              path: `/home/${ADMINISTRATOR}/.ssh/authorized_keys`,
              keyData: settings.sshPublicKey,
            },
          ],
        },
      },
    },
    storageProfile: {
      imageReference: settings.image,
      osDisk: {
        name: names.disk,
        createOption: "FromImage",
        deleteOption: "Delete",
        managedDisk: { storageAccountType: "StandardSSD_LRS" },
      },
    },
    networkProfile: {
      networkApiVersion: NETWORK_API_VERSION,
      networkInterfaceConfigurations: [
        {
          name: names.interface,
          tags,
          primary: true,
          deleteOption: "Delete",
          ipConfigurations: [
            {
              name: "primary",
              primary: true,
              subnet: { id: subnetIdOf(settings, offer.region) },
              ...(settings.publicAddresses
                ? { publicIPAddressConfiguration: { ...PUBLIC_ADDRESS, name: names.address, tags } }
                : {}),
            },
          ],
        },
      ],
    },
  };
}

/** Source: the known values of `NetworkApiVersion` in @azure/arm-compute 25.1. */
const NETWORK_API_VERSION = "2022-11-01";

const PUBLIC_ADDRESS = {
  sku: { name: "Standard" },
  publicIPAllocationMethod: "Static",
  deleteOption: "Delete",
} as const;

function subnetIdOf(settings: LaunchSettings, region: string): string {
  const network = providerPath(settings, "Microsoft.Network");
  return (
    settings.subnetIds[region] ?? `${network}/virtualNetworks/flotilla-${region}/subnets/nodes`
  );
}

const SPOT = {
  priority: "Spot",
  evictionPolicy: "Delete",
  billingProfile: { maxPrice: -1 },
} as const;

/**
 * A public key whose private half nobody has: Azure creates no Linux machine without a way to
 * log in, and nobody needs one.
 */
export function keyNobodyHas(): string {
  const { publicKey } = generateKeyPairSync("ed25519");
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
  const type = Buffer.from("ssh-ed25519");
  const sized = (part: Buffer): Buffer => {
    const size = Buffer.alloc(4);
    size.writeUInt32BE(part.length);
    return Buffer.concat([size, part]);
  };
  return `ssh-ed25519 ${Buffer.concat([sized(type), sized(raw)]).toString("base64")} nobody`;
}

function providerPath({ subscriptionId, resourceGroup }: LaunchSettings, namespace: string) {
  const group = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}`;
  return `${group}/providers/${namespace}`;
}
