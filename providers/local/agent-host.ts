/** The port to whatever runs the node agent of this machine: real processes, or a test's. */

/** What an agent is started with. */
export interface AgentLaunch {
  /** The machine that it makes of this one, by which it is found again. */
  readonly machineId: string;
  /** As the rent gave it; may hold secrets. */
  readonly userData: string;
}

/** Starts, finds and ends agents. */
export interface AgentHost {
  /**
   * Starts the agent of a machine; gives its pid.
   *
   * A rejection leaves open whether one runs; `find` tells.
   */
  launch(launch: AgentLaunch): Promise<number>;
  /** The pid of the agent that runs for a machine, whoever started it; undefined when none does. */
  find(machineId: string): Promise<number | undefined>;
  /** Ends it, whoever started it, with all that it ran and kept; one that is not there is fine. */
  end(machineId: string): Promise<void>;
}
