import { expect, it } from "vitest";
import { catalogRegions } from "../../../providers/index.ts";
import { placeOfRegion } from "./region-places.ts";

it("knows where every region of the catalog is", () => {
  const clouds = ["aws", "gcp", "azure"] as const;
  const missing = clouds.flatMap((cloud) =>
    catalogRegions(cloud)
      .map((region) => `${cloud}/${region}`)
      .filter((key) => placeOfRegion(key) === undefined),
  );
  expect(missing).toEqual([]);
});

it("does not guess", () => {
  expect(placeOfRegion("lambda/us-east-1")).toBeUndefined();
  expect(placeOfRegion("aws/mars-1")).toBeUndefined();
});
