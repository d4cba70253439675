import { expect, it } from "vitest";
import { aNode } from "../store/conformance/samples.ts";
import { offerOfNode } from "./capacity.ts";

it("counts nodes whose offer nobody lists with the price and size that their records have", () => {
  const { node } = aNode("no_1");
  const offer = offerOfNode(node, { offerId: "o", count: 3 });
  expect(offer).toMatchObject({
    offerId: "o",
    nodeCountMax: 3,
    region: node.region,
    resources: node.resources,
    priceMicroUsdPerHour: node.priceMicroUsdPerHour,
  });
});
