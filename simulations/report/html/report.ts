/** A comparison as one self-contained page for people. */
import type { Comparison, PolicyComparison } from "../compare.ts";
import {
  durationText,
  identityText,
  IDENTITY_RULE,
  plural,
  rangeText,
  unitNameOf,
  valueText,
} from "../format.ts";
import { METRICS, type MetricName } from "../metrics.ts";
import { markup, type Markup } from "./markup.ts";
import { card, pageText, section } from "./page.ts";
import { quantileChart } from "./quantile-chart.ts";
import { regionMap } from "./region-map.ts";
import { comparisonTable, costTable, functionTables } from "./tables.ts";
import { bufferChart, costChart, fleetChart, waitStrips } from "./time-charts.ts";

/** Policies whose waits over time are drawn; a strip each. */
const STRIP_COUNT_MAX = 6;

/** Baselines among the headline figures; the table has all. */
const BASELINE_CARD_COUNT_MAX = 2;

/**
 * The text of an HTML file that needs nothing else: no other file, no network.
 *
 * Figures over seeds are means with their range; charts over time are of the first seed. Every
 * name in it is escaped. Some hundred kilobytes, whatever the length of the run.
 */
export function htmlReport(comparison: Comparison): string {
  const [subject] = comparison.policies;
  const seed = subject.seeds[0] ?? 0;
  const ofRun = `${subject.policy}, seed ${seed}`;
  return pageText({
    title: `Simulation of ${comparison.world}`,
    opening: openingLines(comparison),
    body: [
      headline(comparison, subject),
      section("Cost over time", [costChart(subject)], { note: `By offer; ${ofRun}.` }),
      section(
        "Fleet against demand",
        [markup`<div class="tight">${[fleetChart(subject), bufferChart(subject)]}</div>`],
        {
          note: `Where the line of offered load rises above the ready bands, inputs wait; ${ofRun}.`,
        },
      ),
      section(
        "Waiting",
        [
          quantileChart(comparison),
          markup`<h3>Over time</h3>`,
          markup`<div class="tight">${waitStrips(comparison.policies.slice(0, STRIP_COUNT_MAX))}</div>`,
        ],
        { flow: "long" },
      ),
      section("Policies side by side", [comparisonTable(comparison)], {
        note: "Means over seeds, with the least and the greatest below where they differ.",
        flow: "page",
      }),
      section("Where the money went", [costParts(subject), regionMap(subject)], {
        note: `${subject.policy}, mean over seeds.`,
        flow: "long",
      }),
      section("Plans, reclaims and lost work", [planCards(subject)], {
        note: `${subject.policy}, mean over seeds.`,
      }),
      section("Functions", [functionTables(subject)], {
        note: `${subject.policy}, mean over seeds; the most used first.`,
        flow: "long",
      }),
      section("Words", [terms()]),
    ],
  });
}

function openingLines(comparison: Comparison): readonly string[] {
  const { policies, inputs, fromMs, untilMs } = comparison;
  const names = policies.map(({ policy }) => policy);
  const others = names.length === 1 ? "" : `, against ${names.slice(1).join(", ")}`;
  return [
    `${identityText(comparison)}: ${IDENTITY_RULE}.`,
    `${durationText(untilMs - fromMs)} of virtual time, ` +
      `${plural(Math.round(inputs.mean), "input")}. ${names[0] ?? ""}${others}.`,
  ];
}

function headline({ baselines }: Comparison, subject: PolicyComparison): Markup {
  const ratios = baselines
    .filter((baseline) => baseline !== subject.policy)
    .slice(0, BASELINE_CARD_COUNT_MAX);
  return markup`<dl class="cards">
${metricCards(subject, ["costMicroUsd", "costOverB60"])}
${ratios.map((baseline) => ratioCard(subject, baseline))}
${metricCards(subject, ["usefulFraction", "slotP99Ms", "missFraction", "firstInstructionP99Ms"])}
</dl>`;
}

function ratioCard({ overBaselines }: PolicyComparison, baseline: string): Markup {
  const ratio = overBaselines.find((one) => one.baseline === baseline)?.ratio;
  const label = `cost / ${baseline}`;
  const below = ratio === undefined ? "not flown with these seeds" : rangeText(ratio, "ratio");
  return card(label, valueText(ratio?.mean, "ratio"), { below });
}

function metricCards(
  { metrics }: PolicyComparison,
  names: readonly MetricName[],
): readonly Markup[] {
  return METRICS.filter(({ name }) => names.includes(name)).map(({ name, label, unit }) => {
    const spread = metrics.get(name);
    return card(label, valueText(spread?.mean, unit), {
      unit: spread === undefined ? "" : unitNameOf(unit),
      below: rangeText(spread, unit),
    });
  });
}

function costParts({ cost }: PolicyComparison): Markup {
  return markup`<div class="columns">
${costTable("Cloud", cost.byCloud, cost.paidMicroUsd)}
${costTable("GPU type", cost.byGpuType, cost.paidMicroUsd)}
${costTable("Purchase option", cost.byPurchase, cost.paidMicroUsd)}
</div>`;
}

function planCards(subject: PolicyComparison): Markup {
  const plans = subject.metrics.get("plans")?.mean ?? 0;
  const ofPlanner: readonly MetricName[] =
    plans > 0 ? ["plans", "planGapFraction", "fallbackPlans", "unmetContainerHours"] : [];
  return markup`<dl class="cards">
${metricCards(subject, [...ofPlanner, "reclaims", "lostGpuSeconds", "retries", "unserved"])}
</dl>
${plans > 0 ? undefined : markup`<p class="note">${subject.policy} has no planner, so it made no plans.</p>`}`;
}

const TERMS: readonly (readonly [string, string])[] = [
  ["wait", "From an input's arrival to a slot on a node; without the start of a container."],
  [
    "first instruction",
    "From arrival to the first line of user code, a container's start included.",
  ],
  ["miss", "An input that waited over 2 s for a slot."],
  ["bad window", "A window of the trace whose own p99 of waits is over 2 s."],
  ["useful / paid", "GPU-seconds in which inputs ran, over all that is paid from launch to end."],
  ["held / paid", "The same for GPU-seconds that containers held, idle and starting ones too."],
  ["B0", "All work at the cheapest price: nobody can pay less."],
  ["B60", "The work's concurrency over 60 s, each launch paying its boot, with the future known."],
  ["plan gap", "How far a plan may be from the best one, by the solver's own bound."],
  ["unmet", "Container-hours that plans said no offer could serve."],
];

function terms(): Markup {
  return markup`<dl class="terms">
${TERMS.map(([word, meaning]) => markup`<dt>${word}</dt><dd>${meaning}</dd>`)}
</dl>`;
}
