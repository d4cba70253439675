import { expect, it } from "vitest";
import { parse } from "yaml";
import { fileIn, firstBootOf, metadataCloudOf, userDataOf } from "./user-data.ts";

const firstBoot = {
  serverUrl: "http://10.0.0.1:8437",
  token: "fl_x: #y",
  rented: { batch: "rent-no_1", cloud: "aws" },
} as const;
const SHA256 = "a".repeat(64);
const files = [
  { name: "node", sha256: SHA256 },
  { name: "agent.mjs", sha256: "b".repeat(64) },
];
const userData = userDataOf(firstBoot, files);

it("gives back what it was made of", () => {
  expect(firstBootOf(userData)).toEqual(firstBoot);
});

it("is a cloud-config that starts the agent as a service with the files it writes", () => {
  expect(userData).toMatch(/^#cloud-config\n/);
  const config = parse(userData) as { readonly runcmd: unknown };
  expect(config.runcmd).toEqual([
    ["systemctl", "daemon-reload"],
    ["systemctl", "enable", "--now", "flotilla-agent.service"],
  ]);
  const unit = fileIn(userData, "/etc/systemd/system/flotilla-agent.service");
  expect(unit).toContain("ExecStart=/opt/flotilla/boot.sh\n");
  expect(unit).toContain("SuccessAction=poweroff\n");
  const script = fileIn(userData, "/opt/flotilla/boot.sh");
  expect(script).toContain(`get node ${SHA256}\n`);
  expect(script).toContain('exec ./node agent.mjs --config "$root/etc/flotilla/agent.json"');
  expect(fileIn(userData, "/etc/flotilla/headers")).toBe(
    "Authorization: Bearer fl_x: #y\nx-flotilla-batch: rent-no_1\n",
  );
});

it("is the same for all machines of a batch and fits into what EC2 takes", () => {
  expect(userDataOf(firstBoot, files)).toBe(userData);
  expect(Buffer.byteLength(userData)).toBeLessThan(4_096);
});

it("runs the machine's own Node where the server has none to give", () => {
  const script = fileIn(userDataOf(firstBoot, files.slice(1)), "/opt/flotilla/boot.sh");
  expect(script).toContain("exec node agent.mjs");
});

it.each(["", "#!/bin/sh\n", "#cloud-config\nwrite_files: []\n", "#cloud-config\n{}"])(
  "refuses user data that it did not make: %j",
  (text) => {
    expect(() => firstBootOf(text)).toThrow("no settings of a node agent");
  },
);

it("knows the metadata service of each cloud that machines are rented from", () => {
  for (const cloud of ["aws", "gcp", "azure"] as const) {
    expect(metadataCloudOf([{ cloud }])).toBe(cloud);
  }
  expect(() => metadataCloudOf([{ cloud: "vast" }])).toThrow("cannot learn who they are");
});
