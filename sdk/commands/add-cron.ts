/** The declaration of `flotilla cron`; what it does is loaded only when it runs. */
import type { Command } from "commander";

const JSON_OPTION = ["--json", "print JSON on stdout"] as const;

export function addCron(program: Command): void {
  const cron = program
    .command("cron")
    .description("list, run, pause and resume functions that are called by schedule");
  cron
    .command("list")
    .description("list schedules: the next runs, the last ones, and those that were missed")
    .argument("[app]", "name of the app")
    .option(...JSON_OPTION)
    .action(async (app: string | undefined, options: object) => {
      const { listSchedules } = await import("./cron.ts");
      await listSchedules(app, options);
    });
  cron
    .command("run")
    .description("call a scheduled function now, beside its schedule, and print its result")
    .argument("<app>", "name of the app")
    .argument("<function>", "name of the function")
    .option(...JSON_OPTION)
    .addHelpText("after", "\nExample:\n  $ flotilla cron run report daily")
    .action(async (app: string, name: string, options: object) => {
      const { runSchedule } = await import("./cron.ts");
      await runSchedule(app, name, options);
    });
  addSwitch(cron, "pause", "stop calling a function by schedule, over deployments too");
  addSwitch(cron, "resume", "call it again, from the next scheduled time on");
}

function addSwitch(cron: Command, order: "pause" | "resume", description: string): void {
  cron
    .command(order)
    .description(description)
    .argument("<app>", "name of the app")
    .argument("<function>", "name of the function")
    .option(...JSON_OPTION)
    .action(async (app: string, name: string, options: object) => {
      const { switchSchedule } = await import("./cron.ts");
      await switchSchedule(app, name, { ...options, order });
    });
}
