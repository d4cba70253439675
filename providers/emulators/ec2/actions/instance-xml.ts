import { STATE_CODES, type Instance, type InstanceState } from "../instance.ts";
import type { XmlValue } from "../xml.ts";

/** The account that owns everything here. */
export const OWNER_ID = "123456789012";

/** A state as EC2 writes it. */
export function stateXml(state: InstanceState): XmlValue {
  return { code: STATE_CODES[state], name: state };
}

/** A reservation with some of its instances. */
export function reservationXml(instances: readonly Instance[]): Readonly<Record<string, XmlValue>> {
  return {
    reservationId: instances[0]?.reservationId,
    ownerId: OWNER_ID,
    groupSet: [],
    instancesSet: instances.map(instanceXml),
  };
}

function instanceXml(instance: Instance): XmlValue {
  const { instanceId, spec, state, stateReason, launchedAtMs, tags, sequence } = instance;
  const address = privateAddress(sequence);
  return {
    instanceId,
    imageId: spec.imageId,
    instanceState: stateXml(state),
    privateDnsName: `ip-${address.replaceAll(".", "-")}.${spec.region}.compute.internal`,
    reason: stateReason?.message ?? "",
    amiLaunchIndex: 0,
    instanceType: spec.shape.instanceType,
    launchTime: new Date(launchedAtMs).toISOString(),
    placement: { availabilityZone: spec.zone, tenancy: "default" },
    monitoring: { state: "disabled" },
    privateIpAddress: address,
    stateReason: stateReason && { code: stateReason.code, message: stateReason.message },
    architecture: "x86_64",
    ...(spec.market === "spot"
      ? { instanceLifecycle: "spot", spotInstanceRequestId: `sir-${instanceId.slice(-8)}` }
      : {}),
    clientToken: spec.clientToken ?? "",
    tagSet: [...tags].map(([key, value]) => ({ key, value })),
  };
}

/** An address of 10.0.0.0/8, different for the first 16 million instances. */
export function privateAddress(sequence: number): string {
  return ["10", sequence >> 16, sequence >> 8, sequence].map((n) => Number(n) & 255).join(".");
}
