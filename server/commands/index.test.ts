import { Command } from "commander";
import { expect, test } from "vitest";
import { registerOperatorCommands } from "./index.ts";

function registered(): Command {
  const program = new Command("flotilla");
  registerOperatorCommands(program);
  return program;
}

test("the operator's commands are there, each with a description", () => {
  const { commands } = registered();
  const names = commands.map((command) => command.name());
  expect(names).toEqual([
    ...["up", "down", "agent", "node", "plan", "simulate", "tune"],
    ...["pool", "cloud", "catalog", "secret", "doctor"],
  ]);
  for (const command of commands) expect(command.description()).not.toBe("");
});

test("every listing and report takes --json", () => {
  const { commands } = registered();
  const all = [...commands, ...commands.flatMap((command) => command.commands)];
  const json = all.filter((command) => command.options.some(({ long }) => long === "--json"));
  expect(json.map((command) => command.name()).sort()).toEqual([
    ...["check", "cordon", "doctor", "down", "drain", "events", "list", "list", "list", "plan"],
    ...["refresh", "release", "rotate-key", "show", "simulate", "status", "tune", "uncordon", "up"],
  ]);
});
