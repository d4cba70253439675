/** Code that asks the kernel for what it may not have, by system calls and by files. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { syscallProgram, type Syscall } from "./syscall-program.ts";
import { TestNode, type TestContainer } from "./test-node.ts";

let node: TestNode;

beforeAll(async () => {
  node = await TestNode.open();
});

afterAll(async () => {
  await node.close();
});

const NEW_USER_NAMESPACE = 0x1000_0000;
const NEW_MOUNT_NAMESPACE = 0x2_0000;
const BLOCK_DEVICE = 0o60_666;
const CHARACTER_DEVICE = 0o20_666;

/** What is asked of the kernel, and the error numbers that are a refusal (errno.h). */
const SYSCALLS: readonly (readonly [string, readonly Syscall[], readonly number[]])[] = [
  ["a raw socket", [[41, 2, 3, 1]], [1]],
  ["a packet socket", [[41, 17, 3, 0x300]], [1]],
  ["a virtual machine's socket", [[41, 40, 1, 0]], [97]],
  ["ptrace: attach to its init", [[101, 16, 1, 0, 0]], [1]],
  ["ptrace: seize its init", [[101, 0x4206, 1, 0, 0]], [1]],
  ["ptrace: a process that is not its own", [[101, 16, 2_000_000, 0, 0]], [3]],
  ["reading another's memory", [[310, 1, 0, 0, 0, 0]], [38, 1]],
  ["mount: tmpfs", [[165, "tmpfs", "/tmp", "tmpfs", 0, 0]], [1]],
  ["mount: proc", [[165, "proc", "/tmp", "proc", 0, 0]], [1]],
  ["mount: the root again, writable", [[165, "", "/", "", 32, 0]], [1]],
  [
    "mount: in namespaces of its own",
    [
      [272, NEW_USER_NAMESPACE | NEW_MOUNT_NAMESPACE],
      [165, "tmpfs", "/tmp", "tmpfs", 0, 0],
    ],
    [1],
  ],
  ["unmount", [[166, "/proc", 2]], [1]],
  ["a new root", [[155, "/tmp", "/tmp"]], [1, 38]],
  ["chroot", [[161, "/tmp"]], [1]],
  ["keyring: a new key", [[248, "user", "name", "data", 4, -3]], [13, 38]],
  ["keyring: a session of its own", [[250, 1, 0]], [13, 38]],
  ["keyring: the session's id", [[250, 0, -3, 1]], [13, 38]],
  ["keyring: reading", [[250, 11, -3, 0, 0]], [13, 38]],
  ["keyring: a request", [[249, "user", "name", 0, -3]], [13, 38]],
  ["a program in the kernel", [[321, 0, 0, 0]], [1, 38]],
  ["counters of the processor", [[298, 0, 0, -1, -1, 0]], [1, 19, 38]],
  ["a kernel module", [[175, 0, 0, ""]], [1, 38]],
  ["another kernel", [[246, 0, 0, 0, 0]], [1, 38]],
  ["a reboot", [[169, 0xfee1dead, 672_274_793, 0x1234567, 0]], [1]],
  ["the machine's ports", [[172, 3]], [1]],
  ["the clock", [[227, 0, 0]], [1, 14]],
  ["the host name", [[170, "mine", 4]], [1]],
  ["the rights of root", [[105, 0]], [1]],
  ["root in real, effective and saved", [[117, 0, 0, 0]], [1]],
  ["another's namespace", [[308, 0, 0]], [95, 22, 1]],
  ["a file by its handle", [[304, 0, 0, 0]], [95, 1, 38]],
  ["swap", [[167, "/tmp/none", 0]], [1, 38]],
  ["accounting", [[163, "/tmp/none"]], [1, 38]],
  [
    "a disk by a device of its own",
    [
      [133, "/tmp/disk", BLOCK_DEVICE, 0x801],
      [2, "/tmp/disk", 0, 0],
    ],
    [6, 2, 13],
  ],
  [
    "memory by a device of its own",
    [
      [133, "/tmp/memory", CHARACTER_DEVICE, 0x101],
      [2, "/tmp/memory", 0, 0],
    ],
    [6, 2, 13],
  ],
];

test.runIf(process.arch === "x64").each(SYSCALLS)(
  "the kernel refuses %s",
  async (_, calls, refusals) => {
    expect(await syscalls(calls)).toBeOneOf([...refusals]);
  },
);

test.runIf(process.arch === "x64")("a program that is no attack does run", async () => {
  expect(await syscalls([[102], [39], [133, "/tmp/pipe", 0o10_600, 0]])).toBe(0);
});

/** Runs calls in a container; gives the error number of the last one. */
async function syscalls(calls: readonly Syscall[]): Promise<unknown> {
  probe ??= node.start(
    `import { spawnSync } from "node:child_process";
     import { rmSync, writeFileSync } from "node:fs";
     export const run = (program) => {
       writeFileSync("/tmp/program", program, { mode: 0o755 });
       const { status, signal, error } = spawnSync("/tmp/program", [], { stdio: "ignore" });
       rmSync("/tmp/program");
       return error?.code ?? signal ?? status;
     };`,
  );
  const container = await probe;
  return container.call(new Uint8Array(syscallProgram(calls)));
}

let probe: Promise<TestContainer> | undefined;

test.runIf(process.arch === "x64")(
  "a raw socket that a user namespace allows has no network to send to",
  async () => {
    const metadata = Uint8Array.from([2, 0, 0, 0, 169, 254, 169, 254, 0, 0, 0, 0, 0, 0, 0, 0]);
    const [socket, send] = [
      [41, 2, 3, 1],
      [44, 3, "x", 1, 0, metadata, metadata.byteLength],
    ] as const;
    // Unreachable network or host, or no right to the socket in the first place.
    const refusals = [101, 113, 1, 9];
    expect(await syscalls([[272, NEW_USER_NAMESPACE], socket, send])).toBeOneOf(refusals);
  },
);

test("/proc and /sys: nothing in them that rules the machine can be written", async () => {
  const attacker = await node.start(
    `import { readdirSync, writeFileSync, chmodSync, lstatSync } from "node:fs";
     const OWN = new RegExp("^.proc.(1|self|thread-self|" + process.pid + ")(?![a-z0-9])");
     const walk = (path, depth) => {
       let entries = [];
       try { entries = readdirSync(path, { withFileTypes: true }); } catch {}
       return entries.flatMap((entry) => {
         const at = path + "/" + entry.name;
         if (OWN.test(at) || depth === 0) return [];
         return entry.isDirectory() ? walk(at, depth - 1) : [at];
       });
     };
     const attempts = (path) => [
       () => writeFileSync(path, "1"), () => chmodSync(path, 0o777),
     ].filter((attempt) => { try { attempt(); return true; } catch { return false; } });
     export const run = (named) => {
       const there = [...walk("/proc", 6), ...walk("/sys", 6)];
       return {
         seen: there.length,
         written: [...there, ...named].filter((path) => attempts(path).length > 0),
       };
     };`,
  );
  const named = [
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/vm/panic_on_oom",
    "/proc/sysrq-trigger",
    "/proc/kcore",
    "/proc/self/oom_score_adj/../../sysrq-trigger",
    "/sys/kernel/uevent_helper",
    "/sys/fs/cgroup/memory/release_agent",
    "/sys/fs/cgroup/cgroup.procs",
    "/sys/class/bdi/../../power/state",
    "/dev/mem",
    "/dev/kmsg",
  ];
  const { seen, written } = (await attacker.call(named)) as Record<string, unknown>;
  expect(seen).toBeGreaterThan(10);
  expect(written).toEqual([]);
  expect(node.errors).toEqual([]);
});
