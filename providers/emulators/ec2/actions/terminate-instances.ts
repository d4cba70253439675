import { Ec2Error } from "../ec2-error.ts";
import { listOf } from "../query.ts";
import type { ActionHandler } from "../world.ts";
import { findInstances } from "./find-instances.ts";
import { stateXml } from "./instance-xml.ts";
import { dryRun } from "./run-instances.ts";

/** TerminateInstances: one unknown id fails the call; terminated ones are accepted again. */
export const terminateInstances: ActionHandler = (world, { region, params }) => {
  const ids = listOf(params, "InstanceId");
  if (ids.length === 0) {
    throw new Ec2Error("MissingParameter", "The request must contain the parameter InstanceId");
  }
  const instances = findInstances(world, region, ids);
  if (params.get("DryRun") === "true") throw dryRun();
  const code = "Client.UserInitiatedShutdown";
  return {
    instancesSet: instances.map((instance) => {
      const previousState = stateXml(instance.state);
      world.fleet.terminate(instance, { code, message: `${code}: User initiated shutdown` });
      return {
        instanceId: instance.instanceId,
        currentState: stateXml(instance.state),
        previousState,
      };
    }),
  };
};
