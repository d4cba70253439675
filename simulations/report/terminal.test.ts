import { expect, it } from "vitest";
import { compareResults } from "./compare.ts";
import { terminalReport } from "./terminal.ts";
import { madeUpResult, madeUpResults } from "./test-results.ts";

const SMALL = { bucketCount: 144, functionCount: 12 };

it("says first what fixes the run, then each part with its units", () => {
  const comparison = compareResults({ results: madeUpResults(SMALL), commit: "0a1b2c3" });
  expect(terminalReport(comparison, 90)).toMatchInlineSnapshot(`
    "Simulation of two weeks of m-mid · seeds 1, 2, 3 · commit 0a1b2c3: a run is fixed by (commit, scenario, seed)
    24 hours, 4,817,060 inputs; figures are mean (min–max) over seeds

    Cost by policy

    policy                          cost, USD           cost / B60            cost / B0
    -----------------------------------------------------------------------------------
    flotilla         80,425   (78,387–82,081)  1.356 (1.353–1.360)  1.398 (1.395–1.402)
    reactive-70-10  160,820 (156,625–164,105)  2.711 (2.708–2.716)  2.795 (2.792–2.801)
    static-peak     171,427                    2.891 (2.829–2.973)  2.981 (2.917–3.065)

    policy          cost / reactive-70-10   cost / static-peak
    ----------------------------------------------------------
    flotilla          0.500                0.469 (0.457–0.479)
    reactive-70-10    1.000                0.938 (0.914–0.957)
    static-peak       1.066 (1.045–1.095)  1.000

    GPUs by policy

    policy             useful / paid, %       held / paid, %        lost work, GPU-s
    --------------------------------------------------------------------------------
    flotilla        80.88 (80.65–81.08)  85.18 (84.94–85.39)  72,256 (70,230–73,799)
    reactive-70-10  59.57 (59.44–59.67)  62.73 (62.60–62.85)       0
    static-peak     55.59 (54.03–56.77)  58.54 (56.90–59.79)       0

    Waiting by policy

    policy          wait p50, s       wait p90, s       wait p99, s     wait p99.9, s
    ---------------------------------------------------------------------------------
    flotilla               0.00  0.13 (0.13–0.14)  1.21 (1.16–1.26)  7.87 (7.51–8.22)
    reactive-70-10         0.00  0.03              0.26 (0.25–0.28)  1.72 (1.64–1.79)
    static-peak            0.00  0.00 (0.00–0.01)  0.04 (0.04–0.05)  0.29 (0.27–0.30)

    policy                  wait max, s  first instruction p99, s         misses, %
    -------------------------------------------------------------------------------
    flotilla        48.40 (46.20–50.60)          2.72 (2.67–2.78)  0.48 (0.46–0.51)
    reactive-70-10  10.56 (10.08–11.04)          1.78 (1.76–1.79)  0.11 (0.10–0.11)
    static-peak      1.76   (1.68–1.84)          1.56 (1.55–1.56)  0.02

    policy          cold starts, %  bad windows, %  unserved inputs
    ---------------------------------------------------------------
    flotilla                  1.80            3.67                0
    reactive-70-10            1.80            0.80                0
    static-peak               1.80            0.13                0

    Fleet by policy

    policy          launches, 1/h  failed launches  refusals       reclaims
    -----------------------------------------------------------------------
    flotilla                  413               99        59  204 (201–207)
    reactive-70-10            564              135        81    0
    static-peak               5.8                1         1    0

    policy                      retries  most nodes at once
    -------------------------------------------------------
    flotilla        1,224 (1,206–1,242)                 148
    reactive-70-10      0                               201
    static-peak         0                               125

    Plans by policy

    policy          plans       plan gap, %  fallback plans  unmet containers, h
    ----------------------------------------------------------------------------
    flotilla        8,640  0.25 (0.23–0.27)         5 (4–6)          3 (1.5–4.5)
    reactive-70-10      0     –                     0                0
    static-peak         0     –                     0                0

    Cost of flotilla by cloud

    cloud     USD     %
    -------------------
    aws    50,695  63.0
    gcp    19,400  24.1
    azure  10,330  12.8

    Cost of flotilla by region

    region                  USD     %
    ---------------------------------
    aws/us-east-1        31,945  39.7
    aws/us-west-2        13,388  16.6
    gcp/us-central1      11,087  13.8
    gcp/europe-west4      6,532   8.1
    azure/eastus          5,208   6.5
    aws/eu-central-1      3,020   3.8
    azure/westeurope      2,751   3.4
    azure/swedencentral   2,370   2.9
    aws/eu-north-1        2,342   2.9
    gcp/asia-northeast1   1,782   2.2

    Cost of flotilla by GPU type

    GPU type      USD     %
    -----------------------
    H100       71,461  88.9
    A100-40GB   6,213   7.7
    A100-80GB   2,751   3.4

    Cost of flotilla by purchase option

    purchase option     USD     %
    -----------------------------
    on-demand        59,217  73.6
    spot             21,208  26.4

    Waits of flotilla by function (10 of 12)

    function        inputs  wait p50, s  wait p99, s  first instruction p99, s  misses, %
    -------------------------------------------------------------------------------------
    function-01  1,552,283         0.00         0.88                      1.30       0.35
    function-02    776,141         0.00         0.94                      1.77       0.37
    function-03    517,427         0.00         0.99                      2.25       0.40
    function-04    388,071         0.00         1.04                      2.73       0.42
    function-05    310,457         0.00         1.10                      3.20       0.44
    function-06    258,714         0.00         1.16                      3.67       0.46
    function-07    221,755         0.00         1.21                      4.15       0.48
    function-08    194,035         0.00         1.27                      4.63       0.51
    function-09    172,476         0.00         1.32                      5.10       0.53
    function-10    155,228         0.00         1.38                      5.58       0.55

    function     cold starts, %  starts  evictions
    ----------------------------------------------
    function-01            0.50   7,761      3,105
    function-02            1.00   7,761      3,105
    function-03            1.50   7,761      3,105
    function-04            2.00   7,761      3,105
    function-05            2.50   7,761      3,105
    function-06            3.00   7,761      3,105
    function-07            3.50   7,761      3,105
    function-08            4.00   7,761      3,105
    function-09            4.50   7,761      3,105
    function-10            5.00   7,761      3,105
    "
  `);
});

it("has no spread, no baseline and no plans to show for one run without them", () => {
  const run = madeUpResult({ ...SMALL, functionCount: 1, policy: "static-peak" });
  const text = terminalReport(compareResults({ results: [run] }), 200);
  expect(text).toMatch(/^Simulation of two weeks of m-mid · seed 1: a run is fixed/);
  expect(text).not.toContain("over seeds");
  expect(text.replace(/^.*\n/, "")).not.toContain("(");
  expect(text.split("\n").filter((line) => /^static-peak +0 +– /.test(line))).toHaveLength(1);
});

it("stays within the width it is given", () => {
  const comparison = compareResults({ results: madeUpResults(SMALL) });
  for (const width of [60, 80, 120]) {
    const [, , ...lines] = terminalReport(comparison, width).split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
  }
});

it("says in one line what was all of one kind, and makes no table of it", () => {
  const [run] = madeUpResults(SMALL);
  if (run === undefined) throw new Error("there is a run");
  const paid = run.cost.paidMicroUsd;
  const cost = { ...run.cost, byCloud: { gcp: paid }, byGpuType: { L4: paid } };
  const text = terminalReport(compareResults({ results: [{ ...run, cost }] }));
  expect(text).toMatch(/\nCost of \S+: [\d,.]+ USD, all of gcp, L4\n/);
  expect(text).not.toContain("by cloud");
  expect(text).toContain("by region");
});
