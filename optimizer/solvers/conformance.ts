/** Golden models that every solver adapter must answer alike. */
import { ModelBuilder, type MipModel } from "./solver.ts";

/** A model and the one right answer. */
export interface GoldenModel {
  readonly name: string;
  readonly model: MipModel;
  readonly expected:
    { readonly objective: number } | { readonly status: "infeasible" | "unbounded" };
}

/** All golden models. The ones without integers also test the linear side of an adapter. */
export const GOLDEN_MODELS: readonly GoldenModel[] = [
  { name: "a knapsack", model: knapsack(true), expected: { objective: -15 } },
  {
    name: "the linear relaxation of a knapsack",
    model: knapsack(false),
    expected: { objective: -17.5 },
  },
  { name: "a GPU mix for language models", model: melange(), expected: { objective: 6.7 } },
  { name: "bounds below zero and ranged rows", model: shifted(), expected: { objective: -4 } },
  {
    name: "a whole column forced between 1/3 and 2/3",
    model: hole(),
    expected: { status: "infeasible" },
  },
  {
    name: "rows that contradict each other",
    model: contradiction(),
    expected: { status: "infeasible" },
  },
  {
    name: "a linear model without a floor",
    model: bottomless(false),
    expected: { status: "unbounded" },
  },
];

/** Unbounded integer models: solvers may also give up, but must not give values. */
export const UNBOUNDED_INTEGER_MODEL: MipModel = bottomless(true);

/** Values 10, 7, 8 at weights 5, 4, 3: in room 7 the best is 7 + 8, in 7.75 it is 8 + 0.95 x 10. */
function knapsack(integer: boolean): MipModel {
  const builder = new ModelBuilder();
  const items: readonly (readonly [value: number, weight: number])[] = [
    [10, 5],
    [7, 4],
    [8, 3],
  ];
  const entries = items.map(
    ([value, weight]) => [builder.column({ cost: -value, upper: 1, integer }), weight] as const,
  );
  builder.row({ upper: integer ? 7 : 7.75, entries });
  return builder.build();
}

/**
 * Which GPUs serve 30 requests/s of four sizes at the least price an hour.
 *
 * The load of a request is 1 / throughput of the GPU for its size; a slice sits on one type.
 * Source: github.com/tyler-griggs/melange-release, config/example.json at d46ab43 (2024):
 * A10G 1.01 USD/h, A100-80GB 3.67 USD/h; optimum 3 x A10G + 1 x A100-80GB = 6.70 USD/h.
 */
function melange(): MipModel {
  const types = [
    { cost: 1.01, throughput: [2, 1, 5, 2] },
    { cost: 3.67, throughput: [20, 20, 40, 20] },
  ];
  const shares = [0.2, 0.1, 0.5, 0.2];
  const builder = new ModelBuilder();
  const placed: (readonly [number, number])[][] = shares.map(() => []);
  for (const type of types) {
    const node = builder.column({ cost: type.cost, integer: true });
    const load: (readonly [number, number])[] = [[node, -1]];
    for (const [size, share] of shares.entries()) {
      const slice = builder.column({ cost: 0, upper: 1, integer: true });
      load.push([slice, (share * 30) / (type.throughput[size] ?? 1)]);
      placed[size]?.push([slice, 1]);
    }
    builder.row({ upper: 0, entries: load });
  }
  for (const entries of placed) builder.row({ lower: 1, upper: 1, entries });
  return builder.build();
}

/** min x - y, -3 <= x <= 5, y free, 1 <= x + 2y <= 2.5, y - x <= 4.2; x and y whole. */
function shifted(): MipModel {
  const builder = new ModelBuilder();
  const x = builder.column({ cost: 1, lower: -3, upper: 5, integer: true });
  const y = builder.column({ cost: -1, lower: -Infinity, integer: true });
  builder.row({
    lower: 1,
    upper: 2.5,
    entries: [
      [x, 1],
      [y, 2],
    ],
  });
  builder.row({
    upper: 4.2,
    entries: [
      [x, -1],
      [y, 1],
    ],
  });
  return builder.build();
}

function hole(): MipModel {
  const builder = new ModelBuilder();
  const column = builder.column({ cost: 1, upper: 1, integer: true });
  builder.row({ lower: 1, upper: 2, entries: [[column, 3]] });
  return builder.build();
}

function contradiction(): MipModel {
  const builder = new ModelBuilder();
  const column = builder.column({ cost: 1 });
  builder.row({ upper: 1, entries: [[column, 1]] });
  builder.row({ lower: 2, entries: [[column, 1]] });
  return builder.build();
}

function bottomless(integer: boolean): MipModel {
  const builder = new ModelBuilder();
  const first = builder.column({ cost: -1, integer });
  const second = builder.column({ cost: 0, integer });
  builder.row({
    upper: 3,
    entries: [
      [first, 1],
      [second, -1],
    ],
  });
  return builder.build();
}
