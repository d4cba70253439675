import { expect, test } from "vitest";
import type { ExtraUse } from "./use-meter.ts";
import { UseReports, type MeasuredContainer } from "./use-reports.ts";

/** A container that uses a second more of a core with each reading, while it is busy. */
class Busy implements MeasuredContainer {
  readonly spec: { readonly containerId: string };
  isBusy = true;
  #cpuMs = 0;

  constructor(containerId: string) {
    this.spec = { containerId };
  }

  get use(): ExtraUse {
    return { cpuMs: this.#cpuMs, memoryMiBSeconds: 0 };
  }

  measure(): void {
    if (this.isBusy) this.#cpuMs += 1_000;
  }
}

const five = (reports: UseReports, containers: readonly MeasuredContainer[]) =>
  Array.from({ length: 5 }, () => reports.read(containers, 0)).map((uses) =>
    uses.map(({ containerId, cpuMs }) => `${containerId} ${cpuMs}`),
  );

test("what has grown is reported with each fifth reading, and nothing else", () => {
  const reports = new UseReports();
  const [one, idle] = [new Busy("co_1"), new Busy("co_2")];
  idle.isBusy = false;
  expect(five(reports, [one, idle])).toEqual([[], [], [], [], ["co_1 5000"]]);
  one.isBusy = false;
  expect(five(reports, [one, idle]).flat()).toEqual([]);
  one.isBusy = true;
  expect(five(reports, [one, idle]).flat()).toEqual(["co_1 10000"]);
});

test("after a broken link all is said again, as sums that may come twice", () => {
  const reports = new UseReports();
  const one = new Busy("co_1");
  five(reports, [one]);
  one.isBusy = false;
  reports.forget();
  expect(five(reports, [one]).flat()).toEqual(["co_1 5000"]);
  expect(five(reports, []).flat()).toEqual([]);
});
