/** Flies what a search wishes: in worker threads, and what is kept on disk not at all. */
import { PlatformError } from "../../../core/index.ts";
import {
  figuresOf,
  withSettings,
  type FlightWish,
  type Figures,
  type Parameter,
  type RunSpec,
  type Settings,
} from "../../../simulations/index.ts";
import { checkPolicy } from "../../policy/parse-policy.ts";
import type { Crew, CrewTask } from "../simulate/crew.ts";
import type { RunStore } from "../simulate/run-store.ts";

export interface FlightMeans {
  readonly spec: RunSpec;
  /** Content of the policy that settings are written into. */
  readonly base: unknown;
  readonly parameters: readonly Parameter[];
  readonly crew: Pick<Crew, "fly">;
  readonly store?: Pick<RunStore, "get" | "put" | "withCheckpoint">;
  /** Told of each flight that was on disk. */
  readonly onKept?: (wish: FlightWish) => void;
}

/** The figures of a wish, flown or kept. */
export function flightsOf(means: FlightMeans): (wish: FlightWish) => Promise<Figures> {
  const { crew, store, onKept } = means;
  return async (wish) => {
    const task = taskOf(wish, means);
    const kept = await store?.get(task);
    if (kept !== undefined) {
      onKept?.(wish);
      return figuresOf(kept);
    }
    const [result] = await crew.fly([store?.withCheckpoint(task) ?? task]);
    if (result === undefined) throw new Error("a flight came to its end without a result");
    await store?.put(task, result);
    return figuresOf(result);
  };
}

/** Whether settings make a policy: ranges can each be right and contradict each other. */
export function isPolicy(
  settings: Settings,
  { base, parameters }: Pick<FlightMeans, "base" | "parameters">,
): boolean {
  try {
    checkPolicy(withSettings(base, parameters, settings), "settings");
    return true;
  } catch (error) {
    if (error instanceof PlatformError && error.code === "invalid_request") return false;
    throw error;
  }
}

function taskOf({ settings, span, seed }: FlightWish, means: FlightMeans): CrewTask {
  const { spec, base, parameters } = means;
  const policy = checkPolicy(withSettings(base, parameters, settings), "a candidate's policy");
  return { spec, order: { policyName: "flotilla", seed, span, overrides: { policy } } };
}
