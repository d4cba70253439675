/** What was paid where: circles on a map (equirectangular), numbered as in the table beside. */
import type { PolicyComparison } from "../compare.ts";
import { NO_FIGURE, percentText, usdText } from "../format.ts";
import { LAND_OUTLINES } from "./land.ts";
import { markup, type Markup } from "./markup.ts";
import { seriesColor } from "./palette.ts";
import { legendList } from "./plot.ts";
import { placeOfRegion } from "./region-places.ts";

const WEST = -170;
const EAST = 180;
const NORTH = 76;
const SOUTH = -56;
const UNITS_PER_DEGREE = 2.6;
const RADIUS_MAX = 20;
const RADIUS_MIN = 4.5;
/** Regions named one by one and numbered on the map; the rest are one line. */
const ROW_COUNT_MAX = 24;
const DODGE_ROUNDS = 60;

interface RegionCost {
  readonly key: string;
  readonly cloud: string;
  readonly microUsd: number;
  readonly fraction: number;
  /** 1 for the dearest. */
  readonly rank: number;
}

interface Circle {
  readonly region: RegionCost;
  readonly x: number;
  readonly y: number;
  readonly radius: number;
}

/** The map with its table. */
export function regionMap({ policy, cost }: PolicyComparison): Markup {
  const regions = rankedRegions(cost.byRegion, cost.paidMicroUsd);
  const clouds = [...new Set(regions.map(({ cloud }) => cloud))].toSorted();
  const circles = dodged(regions.flatMap((region) => circleOf(region, regions[0]?.microUsd ?? 1)));
  const unknown = regions.filter(({ key }) => placeOfRegion(key) === undefined);
  const description = `Map of the regions that ${policy} paid in: ${regions
    .slice(0, 5)
    .map(({ key, fraction }) => `${key} ${percentText(fraction, 1)} %`)
    .join(", ")}.`;
  const colorOf = (cloud: string): string => seriesColor(clouds.indexOf(cloud));
  return markup`<figure>
<svg class="map" role="img" aria-label="${description}"
viewBox="0 0 ${(EAST - WEST) * UNITS_PER_DEGREE} ${(NORTH - SOUTH) * UNITS_PER_DEGREE}">
${LAND_OUTLINES.map(outline)}
${circles.map(leader)}
${circles.map((circle) => circleMark(circle, colorOf(circle.region.cloud)))}
${circles.filter(({ region }) => region.rank <= ROW_COUNT_MAX).map(circleNumber)}
</svg>
${legendList(clouds.map((cloud) => ({ name: cloud, color: colorOf(cloud) })))}
</figure>
${
  unknown.length === 0
    ? undefined
    : markup`<p class="note">Not on the map, for their places are not known here:
${unknown.map(({ key }) => key).join(", ")}.</p>`
}
${regionTable(regions)}`;
}

function rankedRegions(
  byRegion: Readonly<Record<string, number>>,
  paidMicroUsd: number,
): readonly RegionCost[] {
  return Object.entries(byRegion)
    .filter(([, microUsd]) => microUsd > 0)
    .toSorted(([, left], [, right]) => right - left)
    .map(([key, microUsd], index) => ({
      key,
      cloud: key.split("/")[0] ?? "",
      microUsd,
      fraction: paidMicroUsd > 0 ? microUsd / paidMicroUsd : 0,
      rank: index + 1,
    }));
}

/** Areas are as the costs, down to a size that can still be seen. */
function circleOf(region: RegionCost, dearestMicroUsd: number): readonly Circle[] {
  const place = placeOfRegion(region.key);
  if (place === undefined) return [];
  const radius = Math.max(RADIUS_MIN, RADIUS_MAX * Math.sqrt(region.microUsd / dearestMicroUsd));
  const [x, y] = projected(place.longitude, place.latitude);
  return [{ region, x, y, radius }];
}

function projected(longitude: number, latitude: number): readonly [number, number] {
  return [(longitude - WEST) * UNITS_PER_DEGREE, (NORTH - latitude) * UNITS_PER_DEGREE];
}

/**
 * Circles moved apart until none covers another, or the rounds are over.
 *
 * Several clouds have a region in one town. Of two that overlap the smaller moves away from
 * the larger; two in one place move apart to the sides.
 */
function dodged(circles: readonly Circle[]): readonly Circle[] {
  const placed = [...circles];
  for (let round = 0; round < DODGE_ROUNDS; round += 1) {
    let hasMoved = false;
    for (let index = 1; index < placed.length; index += 1) {
      for (let other = 0; other < index; other += 1) {
        const moved = movedOff(placed[index], placed[other]);
        if (moved === undefined) continue;
        placed[index] = moved;
        hasMoved = true;
      }
    }
    if (!hasMoved) break;
  }
  return placed;
}

function movedOff(small: Circle | undefined, large: Circle | undefined): Circle | undefined {
  if (small === undefined || large === undefined) return undefined;
  const [dx, dy] = [small.x - large.x, small.y - large.y];
  const distance = Math.hypot(dx, dy);
  const wanted = small.radius + large.radius + 1;
  if (distance >= wanted - 0.01) return undefined;
  const [towardsX, towardsY] = distance < 0.01 ? [1, 0] : [dx / distance, dy / distance];
  return { ...small, x: large.x + towardsX * wanted, y: large.y + towardsY * wanted };
}

function outline(pairs: string): Markup {
  const points = pairs.split(" ").map((pair) => {
    const [longitude = 0, latitude = 0] = pair.split(",").map(Number);
    return projected(longitude, latitude).map(tenth).join(",");
  });
  return markup`<polygon class="land" points="${points.join(" ")}"/>`;
}

/** From a circle that was moved to where its region is. */
function leader({ region, x, y, radius }: Circle): Markup {
  const place = placeOfRegion(region.key);
  if (place === undefined) return markup``;
  const [placeX, placeY] = projected(place.longitude, place.latitude);
  if (Math.hypot(placeX - x, placeY - y) < radius) return markup``;
  const [x1, y1, x2, y2] = [placeX, placeY, x, y].map(tenth);
  return markup`<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}"/>`;
}

function circleMark({ region, x, y, radius }: Circle, color: string): Markup {
  const text = `${region.key}\n${usdText(region.microUsd)} USD, ${percentText(region.fraction, 1)} %`;
  return markup`<circle data-tip="" cx="${tenth(x)}" cy="${tenth(y)}" r="${tenth(radius)}"
style="fill:${color}"><title>${text}</title></circle>`;
}

function circleNumber({ region, x, y, radius }: Circle): Markup {
  const isInside = radius >= 10;
  const baseline = isInside ? y + 4 : y - radius - 3;
  return markup`<text pointer-events="none" x="${tenth(x)}" y="${tenth(baseline)}">${region.rank}</text>`;
}

function regionTable(regions: readonly RegionCost[]): Markup {
  const shown = regions.slice(0, ROW_COUNT_MAX);
  const others = regions.slice(ROW_COUNT_MAX);
  const rest = others.reduce((sum, { microUsd }) => sum + microUsd, 0);
  return markup`<div class="scroll"><table>
<thead><tr><th scope="col">Region</th><th scope="col" class="words">Place</th><th scope="col">USD</th>
<th scope="col">%</th></tr></thead>
<tbody>
${shown.map(
  ({ key, microUsd, fraction, rank }) => markup`<tr><th scope="row">${rank}. ${key}</th>
<td class="words">${placeOfRegion(key)?.name ?? NO_FIGURE}</td><td>${usdText(microUsd)}</td>
<td>${percentText(fraction, 1)}</td></tr>`,
)}
${
  others.length === 0
    ? undefined
    : markup`<tr><th scope="row">${others.length} more</th><td></td><td>${usdText(rest)}</td>
<td></td></tr>`
}
</tbody></table></div>`;
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
