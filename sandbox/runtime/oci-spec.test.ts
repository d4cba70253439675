import { expect, test } from "vitest";
import { CPU_BURST_MILLI } from "./limits.ts";
import { ociSpecOf, runnerArguments, SENTRY_MEMORY_MIB, TMP_MIB } from "./oci-spec.ts";
import type { SandboxSpec } from "./runtime.ts";

const PATHS = { rootfs: "/images/base", runnerDir: "/runners/1", cgroupsPath: "/flotilla/x/co_1" };
const SPEC: SandboxSpec = {
  containerId: "co_1",
  resources: { gpuCount: 0, cpuMilli: 500, memoryMiB: 128 },
  env: { PATH: "/bin", GREETING: "a=b" },
};

const specOf = (changes: Partial<SandboxSpec> = {}) =>
  ociSpecOf({ ...SPEC, ...changes }, PATHS, ["/bin/node"]);

const sized = (resources: Partial<SandboxSpec["resources"]>) =>
  specOf({ resources: { ...SPEC.resources, ...resources } });

test("the process has no rights: no capability, no new privileges, nobody's user", () => {
  expect(specOf()).toMatchObject({
    process: {
      args: ["/bin/node"],
      env: ["PATH=/bin", "GREETING=a=b"],
      user: { uid: 65_534, gid: 65_534 },
      noNewPrivileges: true,
      capabilities: { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] },
    },
  });
});

test("its root is read-only, and of this machine it sees the runner's folder alone", () => {
  const spec = specOf();
  expect(spec).toMatchObject({ root: { path: "/images/base", readonly: true } });
  const { mounts } = spec as { readonly mounts: readonly Record<string, unknown>[] };
  const binds = mounts.filter(({ type }) => type === "bind");
  expect(binds).toEqual([
    {
      destination: "/runner",
      type: "bind",
      source: "/runners/1",
      options: ["ro", "rbind", "nosuid", "nodev"],
    },
  ]);
  expect(spec).toMatchObject({
    linux: { namespaces: ["pid", "ipc", "uts", "mount", "network"].map((type) => ({ type })) },
  });
});

test("memory is limited to what was asked and what gVisor itself needs", () => {
  expect(sized({ memoryMiB: 512 })).toMatchObject({
    linux: { resources: { memory: { limit: (512 + SENTRY_MEMORY_MIB) * 1024 * 1024 } } },
  });
});

test("with limits of its own it may use more than it reserves, or fewer idle cores", () => {
  expect(specOf({ limits: { memoryMiB: 512, cpuMilli: 750 } })).toMatchObject({
    linux: {
      resources: {
        memory: { limit: (512 + SENTRY_MEMORY_MIB) * 1024 * 1024 },
        cpu: { shares: 512, quota: 75_000, period: 100_000 },
      },
    },
  });
});

test("the more it reserves, the later it is ended when its machine runs short", () => {
  const scoreOf = (memoryMiB: number): number =>
    (sized({ memoryMiB }) as { readonly process: { readonly oomScoreAdj: number } }).process
      .oomScoreAdj;
  expect(scoreOf(64)).toBeGreaterThan(scoreOf(2_048));
  expect(scoreOf(1 << 30)).toBeGreaterThan(0);
});

test("processes and open files are limited", () => {
  expect(specOf()).toMatchObject({
    linux: { resources: { pids: { limit: 512 } } },
    process: {
      rlimits: [
        { type: "RLIMIT_NOFILE", hard: 4_096, soft: 4_096 },
        { type: "RLIMIT_CORE", hard: 0, soft: 0 },
      ],
    },
  });
});

test("a small function may use idle cores up to a bound, a large one all that it reserved", () => {
  const burst = (CPU_BURST_MILLI / 1_000) * 100_000;
  for (const [cpuMilli, shares, quota] of [
    [1, 2, burst],
    [500, 512, burst],
    [CPU_BURST_MILLI, 2_048, burst],
    [8_000, 8_192, 800_000],
  ] as const) {
    expect(sized({ cpuMilli })).toMatchObject({
      linux: { resources: { cpu: { shares, quota, period: 100_000 } } },
    });
  }
});

test("the temporary folder is no larger than the container's memory", () => {
  for (const [memoryMiB, sizeMiB] of [
    [64, 64],
    [4_096, TMP_MIB],
  ] as const) {
    const { mounts } = sized({ memoryMiB }) as { readonly mounts: readonly object[] };
    expect(mounts).toContainEqual({
      destination: "/tmp",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "nodev", "mode=1777", `size=${sizeMiB}m`],
    });
  }
});

test("the host name is one that a host may have", () => {
  expect(specOf({ containerId: `co_${"x".repeat(80)}` })).toMatchObject({
    hostname: `co-${"x".repeat(60)}`,
  });
  expect(specOf()).toMatchObject({ linux: { cgroupsPath: "/flotilla/x/co_1" } });
});

test("the heap ends before the container's memory does, and is never too small to start", () => {
  const of = (memoryMiB: number, cpuMilli = 125): readonly string[] =>
    runnerArguments("/bin/node", "/runner/r.mjs", { resources: { memoryMiB, cpuMilli } });
  const heapOf = (memoryMiB: number): number =>
    Number(/space-size=(\d+)/.exec(of(memoryMiB).join())?.[1]);
  expect(heapOf(1_000)).toBe(800);
  expect(heapOf(1)).toBe(32);
  const resources = { memoryMiB: 128, cpuMilli: 125 };
  const roomy = { resources, limits: { memoryMiB: 1_000 } };
  expect(runnerArguments("/bin/node", "/r.mjs", roomy)).toContain("--max-old-space-size=800");
  expect(of(128).at(-1)).toBe("/runner/r.mjs");
});

test.each([
  [1, 1],
  [1_000, 1],
  [1_001, 2],
  [64_000, 4],
])("with %d thousandths of a core Node starts %d helping threads", (cpuMilli, threads) => {
  const args = runnerArguments("/bin/node", "/runner/r.mjs", {
    resources: { memoryMiB: 256, cpuMilli },
  });
  expect(args).toContain(`--v8-pool-size=${threads}`);
});
