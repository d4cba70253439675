/**
 * Wrong versions of the product, put in between its parts: what the checkers must find.
 *
 * Each is a wrapped port or function of one server, never a flag in production code.
 */
import { FunctionDispatcher } from "../../server/calls/function-dispatcher.ts";
import type { NodeTable } from "../../server/fleet/node-table.ts";
import type { RecordStore, StoredNode } from "../../server/store/record-store.ts";
import type { Seams } from "./server-life.ts";

/** One mistake, and where it is put. */
export interface Mutant {
  readonly name: string;
  /** What it does wrong, in a sentence. */
  readonly mistake: string;
  /** The promise that it breaks; found by another one, it does not count as caught. */
  readonly breaks: string;
  /** Fresh seams for one run. */
  readonly seams: () => Seams;
}

/** The same object with some of its methods replaced. */
function changed<Port extends object>(port: Port, change: Partial<Port>): Port {
  return new Proxy(port, {
    get: (target, key): unknown => {
      const replaced: unknown = Reflect.get(change, key);
      if (replaced !== undefined) return replaced;
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== "function") return member;
      return (...given: unknown[]): unknown => Reflect.apply(member, target, given);
    },
  });
}

function withLedger(
  change: (ledger: RecordStore["ledger"]) => Partial<RecordStore["ledger"]>,
): () => Seams {
  return () => ({
    store: (store) => ({ ...store, ledger: changed(store.ledger, change(store.ledger)) }),
  });
}

function withNodes(
  change: (nodes: RecordStore["nodes"]) => Partial<RecordStore["nodes"]>,
): () => Seams {
  return () => ({
    store: (store) => ({ ...store, nodes: changed(store.nodes, change(store.nodes)) }),
  });
}

const isIn = (state: string) => (one: StoredNode) => one.node.state === state;

/** Intents are written with the next write, after the rent. */
function lateIntents(nodes: RecordStore["nodes"]): Partial<RecordStore["nodes"]> {
  let late: StoredNode[] = [];
  return {
    putFenced: async (fence, ...stored) => {
      if (stored.every(isIn("requested"))) {
        late.push(...stored);
        return;
      }
      await nodes.putFenced(fence, ...late, ...stored);
      late = [];
    },
  };
}

/** One GPU more than there is. */
function generous(nodes: NodeTable): NodeTable {
  return changed(nodes, {
    schedulable: () =>
      nodes.schedulable().map((node) => {
        const { resources } = node;
        return { ...node, resources: { ...resources, gpuCount: resources.gpuCount + 1 } };
      }),
  });
}

/** Every mistake that is looked for. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: "lost lease renewal",
    mistake: "locks of taken ranges are never renewed",
    breaks: "a living holder keeps its leases",
    seams: () => ({ queue: (queue) => ({ ...queue, renew: () => Promise.resolve() }) }),
  },
  {
    name: "double launch",
    mistake: "a rent whose answer was lost is asked for again with a fresh token",
    breaks: "one machine for a node",
    seams: () => {
      const asked = new Set<string>();
      let times = 0;
      return {
        provider: (provider) =>
          changed(provider, {
            rent: (request) => {
              const isAgain = asked.has(request.clientToken);
              asked.add(request.clientToken);
              times += 1;
              const clientToken = isAgain ? `again-${times}` : request.clientToken;
              return provider.rent({ ...request, clientToken });
            },
          }),
      };
    },
  },
  {
    name: "leak on crash",
    mistake: "intents are written after the rent",
    breaks: "an intent is written before the rent",
    seams: withNodes(lateIntents),
  },
  {
    name: "blind to strays",
    mistake: "machines that no record owns are not listed",
    breaks: "no machine without an owner",
    seams: () => {
      const known = new Set<string>();
      return {
        provider: (provider) =>
          changed(provider, {
            rent: (request) => {
              for (const nodeId of request.nodeIds) known.add(nodeId);
              return provider.rent(request);
            },
            listNodes: async () => {
              const { nodes, unseen } = await provider.listNodes();
              return { nodes: nodes.filter(({ nodeId = "" }) => known.has(nodeId)), unseen };
            },
          }),
      };
    },
  },
  {
    name: "capacity off by one",
    mistake: "the scheduler sees one GPU more on every node",
    breaks: "a node never holds more than it has",
    seams: () => ({ nodes: generous }),
  },
  {
    name: "release before drain",
    mistake: "the pool does not see the containers on its nodes",
    breaks: "a node is drained before it is released",
    seams: () => ({ facts: (facts) => ({ ...facts, containers: [] }) }),
  },
  {
    name: "result recorded twice",
    mistake: "a later result of an input counts as its one result too",
    breaks: "one result per input",
    seams: withLedger((ledger) => ({
      recordResults: async (results) => {
        const outcome = await ledger.recordResults(results);
        return { ...outcome, recorded: results.map(() => true) };
      },
    })),
  },
  {
    name: "accepted too early",
    mistake: "a call is accepted before the ledger has its inputs",
    breaks: "no accepted call is lost",
    seams: withLedger((ledger) => ({
      acceptInputs: (accept) => {
        const { call, startIndex, payloads, final } = accept;
        setTimeout(() => void ledger.acceptInputs(accept), 4_000);
        const counts = { inputCount: startIndex + payloads.length, finishedCount: 0 };
        const record = { ...call, ...counts, failedCount: 0, state: "running", final } as const;
        return Promise.resolve({ kind: "accepted", call: record, freshFrom: startIndex });
      },
    })),
  },
  {
    name: "input dropped with its container",
    mistake: "what a lost container had does not wait again",
    breaks: "every accepted input gets a result",
    seams: () => ({
      dispatcher: (dispatcher) => {
        dispatcher.containerGone = (containerId, end) => {
          if (end !== "lost") {
            FunctionDispatcher.prototype.containerGone.call(dispatcher, containerId, end);
          }
        };
      },
    }),
  },
  {
    name: "input lost with its link",
    mistake: "what was on its way when a link broke counts as in its container",
    breaks: "every accepted input gets a result",
    seams: () => ({
      dispatcher: (dispatcher) => {
        dispatcher.containerCutOff = () => undefined;
      },
    }),
  },
  {
    name: "billed after release",
    mistake: "the end of a node is never written",
    breaks: "nothing is billed after its release",
    seams: withNodes((nodes) => ({
      putFenced: (fence, ...stored) =>
        nodes.putFenced(fence, ...stored.filter((one) => !isIn("terminated")(one))),
    })),
  },
  {
    name: "plan over its limits",
    mistake: "plans ask for twice the machines and three more",
    breaks: "a plan keeps to its budget",
    seams: () => ({
      plan: (planFleet) => async (input, solvers) => {
        const plan = await planFleet(input, solvers);
        const more = plan.lines.map((line) => ({ ...line, count: 2 * line.count + 3 }));
        return { ...plan, lines: more };
      },
    }),
  },
  {
    name: "emptied by a failed solver",
    mistake: "a plan without a solver's answer is a plan for nothing",
    breaks: "a working fleet is never emptied",
    seams: () => ({
      plan: (planFleet) => async (input, solvers) => {
        const plan = await planFleet(input, solvers);
        return plan.status === "fallback" ? { ...plan, lines: [] } : plan;
      },
    }),
  },
];
