import { expect, it } from "vitest";
import { firstBootOf, userDataOf } from "./user-data.ts";

const firstBoot = { serverUrl: "http://10.0.0.1:8437", nodeId: "no_1", token: "fl_x: #y" };

it("gives back what it was made of", () => {
  expect(firstBootOf(userDataOf(firstBoot))).toEqual(firstBoot);
});

it("starts the agent with the file it writes", () => {
  expect(userDataOf(firstBoot)).toContain("#cloud-config\n");
  expect(userDataOf(firstBoot)).toContain("/etc/flotilla/agent.json");
});

it.each(["", "#!/bin/sh\n", "#cloud-config\nwrite_files: []\n", "#cloud-config\n{}"])(
  "refuses user data that it did not make: %j",
  (userData) => {
    expect(() => firstBootOf(userData)).toThrow("no settings of a node agent");
  },
);
