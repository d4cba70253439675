/** Price lists on a server of this machine, for tests: all three clouds behind one address. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface TestLists {
  readonly url: string;
  /** On-demand price of an AWS g6.xlarge in eu-west-1, as the list says it. */
  usd: string;
  /** Regions of AWS whose lists cannot be had. */
  readonly down: Set<string>;
  close(): Promise<void>;
}

const HEADER = [
  ...["SKU", "TermType", "Unit", "PricePerUnit", "Currency", "Product Family", "Instance Type"],
  ...["Tenancy", "Operating System", "Pre Installed S/W", "CapacityStatus", "Region Code"],
];

/** Starts the lists. */
export async function startTestLists(): Promise<TestLists> {
  const down = new Set<string>();
  const state = { usd: "0.9" };
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    const [, region = ""] = /AmazonEC2\/current\/([^/]+)\/index\.csv/.exec(path) ?? [];
    if (path.startsWith("/advisor.json")) {
      response.end(JSON.stringify(advisor));
    } else if (region === "" || down.has(region)) {
      response.writeHead(404).end("no such list");
    } else {
      response.end(listOf(region, state.usd));
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    down,
    get usd() {
      return state.usd;
    },
    set usd(usd) {
      state.usd = usd;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const advisor = {
  ranges: [{ index: 0, label: "<5%", dots: 0, max: 5 }],
  spot_advisor: { "eu-west-1": { Linux: { "g6.xlarge": { s: 50, r: 0 } } } },
};

function listOf(region: string, usd: string): string {
  const plain = ["Shared", "Linux", "NA", "Used", region];
  const row = (instanceType: string, price: string): readonly string[] => [
    ...["ABC", "OnDemand", "Hrs", price, "USD", "Compute Instance", instanceType],
    ...plain,
  ];
  const rows = [HEADER, row("g6.xlarge", usd), row("m7i.4xlarge", "0.85")];
  return [
    '"Publication Date","2026-11-20T00:00:00Z"',
    ...rows.map((one) => one.join(",")),
    "",
  ].join("\n");
}
