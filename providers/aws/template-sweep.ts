/** Removes launch templates that a crash left behind: each holds a join token that has expired. */
import { MS_PER_HOUR, PlatformError, type Clock } from "../../core/index.ts";
import type { Ec2Calls } from "./calls.ts";
import { templatePrefixOf } from "./launch.ts";
import { meaningOf } from "./translate.ts";

/** No request is repeated after so long, so that its template is of no use. */
const AGE_MS_MIN = MS_PER_HOUR;
const SWEEP_EVERY_MS = MS_PER_HOUR;
const DELETE_COUNT_MAX = 100;

/** Sweeps each region at most once an hour, when it is asked to. */
export class TemplateSweep {
  readonly #clock: Clock;
  readonly #prefix: string;
  readonly #sweptAtMs = new Map<string, number>();

  constructor(clock: Clock, clusterId: string) {
    this.#clock = clock;
    this.#prefix = templatePrefixOf(clusterId);
  }

  /** Best effort: what EC2 does not let us remove stays until the next time. */
  async run(calls: Ec2Calls): Promise<void> {
    const nowMs = this.#clock.nowMs();
    const sweptAtMs = this.#sweptAtMs.get(calls.region) ?? -Infinity;
    if (nowMs - sweptAtMs < SWEEP_EVERY_MS) return;
    this.#sweptAtMs.set(calls.region, nowMs);
    try {
      for (const name of await this.#oldTemplates(calls, nowMs)) {
        await calls.deleteLaunchTemplate(name);
      }
    } catch (error) {
      if (!(error instanceof PlatformError) && meaningOf(error) === undefined) throw error;
    }
  }

  async #oldTemplates(calls: Ec2Calls, nowMs: number): Promise<readonly string[]> {
    const { LaunchTemplates = [] } = await calls.describeLaunchTemplates({
      Filters: [{ Name: "launch-template-name", Values: [`${this.#prefix}*`] }],
      MaxResults: 2 * DELETE_COUNT_MAX,
    });
    return LaunchTemplates.flatMap(({ LaunchTemplateName: name, CreateTime }) => {
      const ageMs = nowMs - (CreateTime?.getTime() ?? nowMs);
      const isOld = ageMs >= AGE_MS_MIN;
      return isOld && name?.startsWith(this.#prefix) === true ? [name] : [];
    }).slice(0, DELETE_COUNT_MAX);
  }
}
