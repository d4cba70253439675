/** What operators are told of the pool and of the clouds; the answers of `/v1/pool` and `/v1/clouds`. */

/** The rented fleet as a whole. Money in USD, times in ms since 1970. */
export interface PoolStatus {
  readonly atMs: number;
  /** Whether this replica leads the pool; the replica that does, as far as it is known. */
  readonly leads: boolean;
  readonly leader?: string;
  /** Rented nodes by state; states without nodes are left out. */
  readonly nodes: Readonly<Record<string, number>>;
  /** Nodes that the plan wants. */
  readonly wantedNodes: number;
  readonly spend: SpendReport;
  /** Clouds that could not be listed: what is rented there cannot be seen now. */
  readonly unreachableClouds: readonly string[];
  /** Regions and zones of other clouds that could not be listed, since when and why. */
  readonly unseen: readonly {
    readonly cloud: string;
    readonly region: string;
    /** Absent means the whole region. */
    readonly zone?: string;
    readonly sinceMs: number;
    readonly reason: string;
  }[];
  /** What is left alone for a while because it was refused. */
  readonly refusals: readonly RefusalReport[];
  /** Machines of this cluster that no record owns; they are given back. */
  readonly strays: readonly {
    readonly cloud: string;
    readonly providerNodeId: string;
    readonly launchedAtMs: number;
  }[];
  /**
   * Machines of each account that carry no cluster's tag, so that no listing has them: those with
   * something of ours (`lost` ones are given back, the others are left alone), and the number of
   * those with nothing of ours.
   */
  readonly unclaimed: readonly {
    readonly cloud: string;
    readonly surveyedAtMs: number;
    readonly machines: readonly {
      readonly providerNodeId: string;
      readonly kind: "lost" | "serving" | "marked";
      readonly reason: string;
    }[];
    readonly bareCount: number;
    readonly bareExamples: readonly string[];
  }[];
  /** Nodes that are unfit. */
  readonly unfit: readonly { readonly nodeId: string; readonly fault: string }[];
  /** So many are unfit at once that none is repaired by itself. */
  readonly isRepairHalted: boolean;
}

export interface SpendReport {
  readonly usdPerHour: number;
  readonly budgetUsdPerHour?: number;
  /** In UTC, as the month is. */
  readonly todayUsd: number;
  readonly monthUsd: number;
  /** Of the whole month, when it goes on as in the last day. */
  readonly forecastUsd: number;
  readonly budgetUsdPerMonth?: number;
}

export interface RefusalReport {
  /** Such as `offer aws/us-east-1/us-east-1a/p5.48xlarge/spot` or `cloud gcp`. */
  readonly key: string;
  readonly reason: string;
  readonly untilMs: number;
  /** Refusals in a row. */
  readonly count: number;
}

/** Something that happened to the fleet, and why. */
export interface PoolEventReport {
  readonly sequence: number;
  readonly atMs: number;
  readonly kind: string;
  readonly nodeId?: string;
  readonly cloud?: string;
  readonly offerId?: string;
  readonly providerNodeId?: string;
  readonly reason: string;
}

/** What came of an order for a node. */
export interface OrderReport {
  readonly nodeId: string;
  readonly state: string;
  /** False when it was so already. */
  readonly isChanged: boolean;
  /** Containers on it now. */
  readonly containers: number;
}

export interface CloudReport {
  readonly cloud: string;
  readonly isReachable: boolean;
  readonly offers: number;
  /** Rented nodes there. */
  readonly nodes: number;
  readonly usdPerHour: number;
}

/** What a cloud lets this platform do, step by step. */
export interface CloudCheck {
  readonly cloud: string;
  readonly isGood: boolean;
  readonly steps: readonly {
    readonly step: string;
    readonly isGood: boolean;
    readonly detail: string;
  }[];
}
