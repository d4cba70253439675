import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { prepareBaseImage } from "../images/base-image.ts";
import { foldersOf, removeCgroup } from "./cgroups.ts";
import { testRuntime, type OpenRuntime } from "./conformance.ts";
import { createGvisorRuntime } from "./gvisor.ts";
import { GuestSandbox } from "./guest-sandbox.ts";
import { writeGuest } from "./guest.ts";
import { TMP_MIB } from "./oci-spec.ts";
import { tracesOf } from "./traces.ts";

const CGROUP_PARENT = `/flotilla/test-${process.pid}`;
const PIDS_MAX = 512;
/** Kills that each come as soon as the container's control group is there. */
const EARLY_KILLS = 3;
const MIB = 1024 * 1024;
const SPEC = { resources: { gpuCount: 0, cpuMilli: 500, memoryMiB: 128 }, env: {} };

let images: string;

beforeAll(async () => {
  images = await mkdtemp(join(tmpdir(), "flotilla-images-"));
});

afterAll(async () => {
  await rm(images, { recursive: true });
});

async function optionsIn(dir: string) {
  return {
    dir,
    rootfs: await prepareBaseImage(images),
    runnerDir: await writeGuest(join(dir, "runner")),
    cgroupParent: CGROUP_PARENT,
  };
}

testRuntime(
  "gVisor",
  async () => {
    const dir = await mkdtemp(join(tmpdir(), "flotilla-gvisor-"));
    return {
      runtime: createGvisorRuntime(await optionsIn(dir)),
      traces: (containerId) =>
        Promise.resolve(tracesOf(dir, containerId, `${CGROUP_PARENT}/${containerId}`)),
      close: async () => {
        await removeCgroup(CGROUP_PARENT);
        await rm(dir, { recursive: true });
      },
    };
  },
  (runtime) => {
    testIsolation(runtime);
    testEarlyKill(runtime);
    testLimits(runtime);
  },
);

function testIsolation({ bench, start }: OpenRuntime): void {
  it("names itself as isolated", () => {
    expect(bench().runtime.isolation).toBe("gvisor");
  });

  it("has no network: not this machine's, not a cloud's metadata, only its own loopback", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    const guest = await start();
    expect(await guest.ask("connect", ["127.0.0.1", port])).toBe("ECONNREFUSED");
    for (const host of ["169.254.169.254", "10.0.0.1"]) {
      expect(await guest.ask("connect", [host, 80])).toMatch(/ENETUNREACH|EHOSTUNREACH/);
    }
    expect(await guest.ask("interfaces")).toEqual(["lo"]);
    server.close();
  });

  it("writes to its temporary folder and nowhere else", async () => {
    const guest = await start();
    expect(await guest.ask("write", "/tmp/mine")).toBe("written");
    for (const path of ["/bin/x", "/etc/passwd", "/runner/x", "/x", "/var/x", "/home/x"]) {
      expect(await guest.ask("write", path)).toMatch(/EROFS|EACCES/);
    }
  });

  it("sees no file of this machine", async () => {
    const secret = await mkdtemp(join(tmpdir(), "flotilla-secret-"));
    await writeFile(join(secret, "key"), "of the host");
    const guest = await start();
    expect(await guest.ask("read", join(secret, "key"))).toBe("ENOENT");
    for (const path of ["/root", "/proc/1/root/root", "/var/lib"]) {
      expect(await guest.ask("list", path)).toBe("ENOENT");
    }
    expect(await guest.ask("read", "/etc/shadow")).toBe("ENOENT");
    expect(await guest.ask("read", "/etc/passwd")).toMatch(
      /^root:x:0:0:root:\/:\/bin\/false\nuser/,
    );
    await rm(secret, { recursive: true });
  });

  it("runs as a user without rights, and two containers share no temporary folder", async () => {
    const [one, two] = await Promise.all([start(), start()]);
    expect(await one.ask("whoami")).toMatchObject({ uid: 65_534, cwd: "/tmp" });
    await one.ask("write", "/tmp/mine");
    expect(await two.ask("read", "/tmp/mine")).toBe("ENOENT");
  });
}

function testEarlyKill({ bench, begin }: OpenRuntime): void {
  it("kills a container that runsc is just making, and leaves nothing of it", async () => {
    for (let kill = 0; kill < EARLY_KILLS; kill += 1) {
      const guest = await begin();
      const group = `${CGROUP_PARENT}/${guest.containerId}`;
      await expect.poll(() => foldersOf(group).length, { interval: 1 }).toBeGreaterThan(0);
      guest.kill();
      expect(await guest.exited).toMatchObject({ outOfMemory: false });
      expect(await bench().traces(guest.containerId)).toEqual([]);
    }
  });
}

function testLimits({ bench, start }: OpenRuntime): void {
  const limitOf = async (containerId: string, file: string): Promise<string | undefined> => {
    const folders = foldersOf(`${CGROUP_PARENT}/${containerId}`);
    const folder = folders.find((one) => existsSync(join(one, file)));
    return folder === undefined ? undefined : (await readFile(join(folder, file), "utf8")).trim();
  };

  it("lets the temporary folder grow to its limit and no further", async () => {
    const guest = await start({ resources: { ...SPEC.resources, memoryMiB: 1_024 } });
    const { file, code } = (await guest.ask("fill", 2 * TMP_MIB)) as Record<string, unknown>;
    expect(code).toBe("ENOSPC");
    expect(file).toBe(TMP_MIB);
  });

  it("ends a container that takes more memory than it has, and says so", async () => {
    const guest = await start();
    await guest.ask("buffers").catch(() => undefined);
    expect(await guest.exited).toEqual({ exitCode: 137, signal: undefined, outOfMemory: true });
    expect(await bench().traces(guest.containerId)).toEqual([]);
  });

  it("holds a fork bomb within the container's processes, and leaves none of them", async () => {
    const neighbour = await start();
    const guest = await start({ resources: { ...SPEC.resources, memoryMiB: 2_048 } });
    expect(Number(await limitOf(guest.containerId, "pids.max"))).toBe(PIDS_MAX);
    const started = await guest.ask("bomb", 2 * PIDS_MAX).catch(() => "ended");
    expect(started === "ended" || Number(started) < PIDS_MAX).toBe(true);
    expect(await neighbour.ask("echo", "fine")).toBe("fine");
    guest.kill();
    await guest.exited;
    expect(await bench().traces(guest.containerId)).toEqual([]);
  });

  it("puts the container's memory and processor limits on its control group", async () => {
    const { containerId } = await start();
    const memory =
      (await limitOf(containerId, "memory.limit_in_bytes")) ??
      (await limitOf(containerId, "memory.max"));
    expect(Number(memory) / MIB).toBeGreaterThanOrEqual(SPEC.resources.memoryMiB);
    expect(Number(memory) / MIB).toBeLessThanOrEqual(SPEC.resources.memoryMiB + 64);
    const quota =
      (await limitOf(containerId, "cpu.cfs_quota_us")) ?? (await limitOf(containerId, "cpu.max"));
    expect(Number(quota?.split(" ")[0])).toBe(200_000);
  });

  it("may be told to let it use more than it reserves, and to end it before those that do not", async () => {
    const limits = { memoryMiB: 512, cpuMilli: 750 };
    const [small, large] = await Promise.all([
      start({ limits }),
      start({ resources: { ...SPEC.resources, memoryMiB: 2_048 } }),
    ]);
    const memory =
      (await limitOf(small.containerId, "memory.limit_in_bytes")) ??
      (await limitOf(small.containerId, "memory.max"));
    expect(Number(memory) / MIB).toBeGreaterThanOrEqual(512);
    const quota =
      (await limitOf(small.containerId, "cpu.cfs_quota_us")) ??
      (await limitOf(small.containerId, "cpu.max"));
    expect(Number(quota?.split(" ")[0])).toBe(75_000);
    const scoreOf = async (containerId: string): Promise<number> => {
      const pid = (await limitOf(containerId, "cgroup.procs"))?.split("\n")[0] ?? "";
      return Number(await readFile(`/proc/${pid}/oom_score_adj`, "utf8"));
    };
    expect(await scoreOf(small.containerId)).toBeGreaterThan(await scoreOf(large.containerId));
    expect(await scoreOf(large.containerId)).toBeGreaterThan(0);
  });
}

describe("gVisor without control groups", () => {
  it("ends a container that takes more memory than it has, and only that one", async () => {
    const dir = await mkdtemp(join(tmpdir(), "flotilla-gvisor-"));
    const runtime = createGvisorRuntime({ ...(await optionsIn(dir)), cgroups: false });
    const [neighbour, guest] = await Promise.all(
      ["co_neighbour", "co_greedy"].map(async (containerId) => {
        const started = new GuestSandbox(
          containerId,
          await runtime.start({ ...SPEC, containerId }),
        );
        expect(await started.answer()).toBe("started");
        return started;
      }),
    );
    expect(foldersOf(`${CGROUP_PARENT}/co_greedy`)).toEqual([]);
    await guest?.ask("buffers").catch(() => undefined);
    expect(await guest?.exited).toMatchObject({ outOfMemory: true });
    expect(await neighbour?.ask("echo", "fine")).toBe("fine");
    await neighbour?.end();
    expect(tracesOf(dir, "co_neighbour")).toEqual([]);
    await rm(dir, { recursive: true });
  });
});

describe("starting gVisor", () => {
  it("tells that runsc is missing, and leaves nothing", async () => {
    const dir = await mkdtemp(join(tmpdir(), "flotilla-gvisor-"));
    const runsc = join(dir, "no-runsc");
    const runtime = createGvisorRuntime({ ...(await optionsIn(dir)), runsc });
    await expect(runtime.start({ ...SPEC, containerId: "co_1" })).rejects.toMatchObject({
      name: "PlatformError",
      code: "unavailable",
      message: expect.stringMatching(/cannot start .*no-runsc.*flotilla doctor/) as string,
    });
    expect(await readdir(join(dir, "bundles"))).toEqual([]);
    await rm(dir, { recursive: true });
  });

  it("tells that its folder cannot be written, in our words", async () => {
    const dir = await mkdtemp(join(tmpdir(), "flotilla-gvisor-"));
    await mkdir(join(dir, "bundles"));
    await writeFile(join(dir, "bundles", "co_1"), "in the way");
    const runtime = createGvisorRuntime(await optionsIn(dir));
    await expect(runtime.start({ ...SPEC, containerId: "co_1" })).rejects.toMatchObject({
      name: "PlatformError",
      code: "unavailable",
    });
    await rm(dir, { recursive: true });
  });
});
