import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeShellData, encodeShellFrame, ShellFrameDecoder } from "./shell.ts";

test("what is encoded comes out again, however the bytes are cut", () => {
  const said = fc.oneof(
    fc.record({ kind: fc.constantFrom("i", "o", "m"), data: fc.uint8Array({ maxLength: 300 }) }),
    fc.record({ kind: fc.constantFrom("r", "x"), first: fc.nat(65_535) }),
  );
  fc.assert(
    fc.property(fc.array(said), fc.array(fc.nat(40)), (all, cuts) => {
      const parts = all.map((one) =>
        "data" in one ? encodeShellData(one.kind, one.data) : encodeShellFrame(one.kind, one.first),
      );
      const bytes = Buffer.concat(parts);
      const decoder = new ShellFrameDecoder();
      const frames = [];
      let at = 0;
      for (const cut of [...cuts, bytes.byteLength]) {
        frames.push(...decoder.push(bytes.subarray(at, at + cut)));
        at += cut;
      }
      const expected = all
        .filter((one) => !("data" in one) || one.data.byteLength > 0)
        .map((one) =>
          "data" in one
            ? { kind: one.kind, first: one.data.byteLength, data: one.data }
            : { kind: one.kind, first: one.first, data: new Uint8Array(0) },
        );
      expect(frames).toEqual(expected);
    }),
  );
});

test("data beyond one frame goes in several", () => {
  const data = new Uint8Array(150_000).fill(7);
  const frames = new ShellFrameDecoder().push(encodeShellData("o", data));
  expect(frames.map(({ first }) => first)).toEqual([65_535, 65_535, 18_930]);
});
