import { afterEach, describe, expect, it } from "vitest";
import { createRng } from "../../../core/index.ts";
import { instanceShape } from "../../catalog/index.ts";
import { createManualClock } from "../../fake/index.ts";
import { EmulatedFleet } from "./fleet.ts";
import type { LaunchSpec, StateReason } from "./instance.ts";
import type { MachineLaunch, MachineLauncher } from "../shared/machine-launcher.ts";

const shape = instanceShape("aws", "p5.48xlarge")!;
const SPEC: LaunchSpec = {
  region: "us-east-1",
  zone: "us-east-1a",
  shape,
  market: "spot",
  imageId: "ami-0123456789abcdef0",
  userData: "hello",
  tags: {},
};
const REASON: StateReason = { code: "Client.UserInitiatedShutdown", message: "asked" };

/** A launcher whose processes end when they are told to, and which keeps count. */
function recordingLauncher() {
  const launched: MachineLaunch[] = [];
  const log: string[] = [];
  const exits = new Map<string, () => void>();
  const launcher: MachineLauncher = {
    launch: async (launch) => {
      launched.push(launch);
      const exited = new Promise<void>((resolve) => exits.set(launch.instanceId, resolve));
      const exit = () => exits.get(launch.instanceId)?.();
      return {
        exited,
        terminate: async () => {
          log.push(`terminate ${launch.instanceId}`);
          exit();
        },
      };
    },
  };
  return { launched, log, exits, launcher };
}

function open(launcher?: MachineLauncher, bootMs = 1_000, shutdownMs = 500) {
  const clock = createManualClock();
  const fleet = new EmulatedFleet({
    clock,
    rng: createRng(1),
    ...(launcher === undefined ? {} : { launcher }),
    delays: () => ({ bootMs, shutdownMs }),
  });
  const states: string[] = [];
  fleet.onEvent(({ state, atMs }) => states.push(`${state}@${String(atMs)}`));
  return { clock, fleet, states };
}

describe("an instance's life", () => {
  let close = async (): Promise<void> => undefined;
  afterEach(() => close());

  it("is pending for the boot delay, then runs its process with all it needs", async () => {
    const { launched, launcher } = recordingLauncher();
    const { clock, fleet, states } = open(launcher);
    close = () => fleet.close(REASON);
    const [instance] = fleet.launch(SPEC, 1);
    await clock.advance(999);
    expect(launched).toEqual([]);
    await clock.advance(1);
    expect(states).toEqual(["pending@0", "running@1000"]);
    expect(launched).toEqual([
      {
        instanceId: instance?.instanceId,
        instanceType: "p5.48xlarge",
        region: "us-east-1",
        zone: "us-east-1a",
        market: "spot",
        userData: "hello",
        metadataUrl: "",
        resources: shape.resources,
        gpuType: "H100",
      },
    ]);
  });

  it("ends with its process, as a machine that was shut down from inside", async () => {
    const { exits, launcher } = recordingLauncher();
    const { clock, fleet, states } = open(launcher);
    const [instance] = fleet.launch(SPEC, 1);
    await clock.advance(1_000);
    exits.get(instance!.instanceId)?.();
    await clock.advance(500);
    expect(states).toEqual(["pending@0", "running@1000", "shutting-down@1000", "terminated@1500"]);
    expect(instance?.stateReason?.code).toBe("Client.InstanceInitiatedShutdown");
  });

  it("terminates its process once, however often it is asked", async () => {
    const { log, launcher } = recordingLauncher();
    const { clock, fleet } = open(launcher);
    const [instance] = fleet.launch(SPEC, 1);
    await clock.advance(1_000);
    fleet.terminate(instance!, REASON);
    fleet.terminate(instance!, { code: "other", message: "" });
    await clock.advance(500);
    fleet.terminate(instance!, REASON);
    expect(log).toEqual([`terminate ${instance!.instanceId}`]);
    expect(instance).toMatchObject({ state: "terminated", stateReason: REASON });
  });

  it("never starts a process when it is terminated while it boots", async () => {
    const { launched, launcher } = recordingLauncher();
    const { clock, fleet, states } = open(launcher);
    const [instance] = fleet.launch(SPEC, 1);
    fleet.terminate(instance!, REASON);
    await clock.advance(10_000);
    expect(launched).toEqual([]);
    expect(states).toEqual(["pending@0", "shutting-down@0", "terminated@500"]);
  });

  it("ends a process that was still being started when the instance was terminated", async () => {
    const { log, launcher } = recordingLauncher();
    let start = (): void => undefined;
    const slow: MachineLauncher = {
      launch: async (launch) => {
        await new Promise<void>((resolve) => (start = resolve));
        return launcher.launch(launch);
      },
    };
    const { clock, fleet } = open(slow);
    const [instance] = fleet.launch(SPEC, 1);
    await clock.advance(1_000);
    fleet.terminate(instance!, REASON);
    await clock.advance(1_000);
    expect(instance?.state).toBe("shutting-down");
    start();
    await clock.advance(0);
    await clock.advance(500);
    expect(log).toHaveLength(1);
    expect(instance?.state).toBe("terminated");
  });

  it("ends with Server.InternalError when its process cannot be started", async () => {
    const broken: MachineLauncher = { launch: () => Promise.reject(new Error("no disk")) };
    const { clock, fleet } = open(broken);
    const [instance] = fleet.launch(SPEC, 1);
    await clock.advance(2_000);
    expect(instance).toMatchObject({
      state: "terminated",
      stateReason: { code: "Server.InternalError", message: "Server.InternalError: no disk" },
    });
  });

  it("runs as a phantom until it is told to end when there is no launcher", async () => {
    const { clock, fleet, states } = open();
    const [instance] = fleet.launch(SPEC, 1);
    await clock.advance(1_000_000);
    fleet.terminate(instance!, REASON);
    await clock.advance(500);
    expect(states.map((state) => state.split("@")[0])).toEqual([
      "pending",
      "running",
      "shutting-down",
      "terminated",
    ]);
  });

  it("leaves no process behind when the fleet closes, whatever state each is in", async () => {
    const { launched, log, launcher } = recordingLauncher();
    const { clock, fleet } = open(launcher);
    fleet.launch(SPEC, 3);
    await clock.advance(1_000);
    fleet.launch(SPEC, 2);
    await fleet.close(REASON);
    expect(launched).toHaveLength(3);
    expect(log).toHaveLength(3);
    expect(fleet.all().every(({ state }) => state === "terminated")).toBe(true);
  });
});
