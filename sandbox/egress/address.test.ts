import { BlockList } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { addressKindOf, isNumericHost } from "./address.ts";

test.each(["1.1.1.1", "93.184.216.34", "100.63.255.255", "172.32.0.1", "192.169.0.1"])(
  "%s is public",
  (address) => expect(addressKindOf(address)).toEqual({ kind: "public" }),
);

test.each(["2606:4700::1111", "2a00:1450:4001::1", "2600:1f18::1"])("%s is public", (address) => {
  expect(addressKindOf(address)).toEqual({ kind: "public" });
});

test.each([
  ...["0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.0.1", "169.254.169.254"],
  ...["172.16.0.1", "172.31.255.255", "192.168.1.1", "192.0.0.192", "198.18.0.1", "224.0.0.1"],
  ...["239.1.1.1", "255.255.255.255", "168.63.129.16", "203.0.113.9"],
  // Loopback, unspecified, IPv4-mapped and -compatible, in short and long.
  ...["::", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::ffff:8.8.8.8"],
  ...["::127.0.0.1", "0:0:0:0:0:ffff:7f00:1", "::ffff:0:127.0.0.1"],
  // NAT64, its local range, 6to4, Teredo, and what carries addresses in other ways.
  ...["64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::a9fe:a9fe", "2002:7f00:1::", "2001::1"],
  ...["2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "100::1", "2001:20::1", "3fff::1"],
  // Unique local (a cloud's metadata too), link-local, site-local, multicast, with a zone.
  ...["fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2606::1%lo"],
  ...["", "localhost", "1.2.3", "0x7f.1", "[::1]", "127.0.0.1 "],
])("%j is not", (address) => {
  expect(addressKindOf(address).kind).toBe("special");
});

test("every IPv4 address inside an IPv6 one is refused, however it is put in", () => {
  fc.assert(
    fc.property(fc.ipV4(), (inner) => {
      const [a = 0, b = 0, c = 0, d = 0] = inner.split(".").map(Number);
      const high = (a * 256 + b).toString(16);
      const low = (c * 256 + d).toString(16);
      const carriers = [`::ffff:${inner}`, `::${inner}`, `64:ff9b::${inner}`];
      const words = [`::ffff:${high}:${low}`, `2002:${high}:${low}::`, `64:ff9b:1::${high}:${low}`];
      for (const address of [...carriers, ...words]) {
        expect(addressKindOf(address).kind).toBe("special");
      }
    }),
  );
});

test("an IPv4 address is judged as the plain arithmetic of its ranges says", () => {
  const numberOf = (address: string): number =>
    address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const ranges: readonly [string, number][] = [
    ["0.0.0.0", 8],
    ["10.0.0.0", 8],
    ["100.64.0.0", 10],
    ["127.0.0.0", 8],
    ["169.254.0.0", 16],
    ["172.16.0.0", 12],
    ["192.168.0.0", 16],
    ["198.18.0.0", 15],
    ["224.0.0.0", 3],
  ];
  const edges = ranges.flatMap(([network, prefix]) => {
    const first = numberOf(network);
    return [first, first - 1, first + 2 ** (32 - prefix) - 1, first + 2 ** (32 - prefix)];
  });
  const textOf = (value: number): string =>
    [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
  for (const value of edges.filter((edge) => edge >= 0 && edge < 2 ** 32)) {
    const isSpecial = ranges.some(([network, prefix]) => {
      const size = 2 ** (32 - prefix);
      return Math.floor(value / size) === Math.floor(numberOf(network) / size);
    });
    expect([textOf(value), addressKindOf(textOf(value)).kind]).toEqual([
      textOf(value),
      isSpecial ? "special" : "public",
    ]);
  }
  expect(new BlockList().check("1.1.1.1")).toBe(false);
});

test.each([
  ...["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.0.0.1", "127.0.0.1.", "1.2.3.4.5"],
  ...["0", "0x", "0xA9FEA9FE", "example.0x1", "4294967296"],
])("%s is an address in an unusual spelling", (host) => {
  expect(isNumericHost(host)).toBe(true);
});

test.each(["127.0.0.1", "::1", "example.com", "1password.com", "0x1.example", "3com.com"])(
  "%s is not",
  (host) => {
    expect(isNumericHost(host)).toBe(false);
  },
);
