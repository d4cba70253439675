/** Which blobs there are, and which calls name them. */
import { expect, it } from "vitest";
import { REMOVAL_MS_MAX } from "../blob-records.ts";
import { aResult, inline, inputsOf, type OpenBench } from "./samples.ts";

const ALL = { beforeMs: 1_000, after: "", limit: 10 } as const;

/** Declares the suite of `RecordStore.blobs`. */
export function testBlobRecords(bench: OpenBench): void {
  testNaming(bench);
  testRemoval(bench);
}

function testNaming({ store, reopen }: OpenBench): void {
  it("gives payloads that were last used before a time, a page at a time", async () => {
    const { blobs } = store();
    for (const sha256 of ["c", "a", "d", "b"]) expect(await blobs.use(sha256, 10)).toBe(true);
    await blobs.use("a", 20);
    await blobs.renew("b", 30);
    await blobs.renew("never", 30);
    await blobs.keep("d", 10);
    expect(await blobs.unnamed({ ...ALL, beforeMs: 20 })).toEqual(["c"]);
    expect(await blobs.unnamed({ ...ALL, limit: 2 })).toEqual(["a", "b"]);
    expect(await blobs.unnamed({ ...ALL, after: "b" })).toEqual(["c"]);
  });

  it("knows what inputs, values and results name until their call goes, also after it was opened again", async () => {
    const names = ["input", "part", "result", "value"];
    for (const sha256 of [...names, "loose"]) await store().blobs.use(sha256, 10);
    const blob = { kind: "blob", byteCount: 70_000 } as const;
    const accepted = inputsOf("ca_1", 0, 1, { final: true });
    await store().ledger.acceptInputs({
      ...accepted,
      call: { ...accepted.call, stream: true },
      payloads: [{ ...blob, sha256: "input", chunks: ["part", "part"] }],
    });
    await store().ledger.appendValues("ca_1", 0, [{ ...blob, sha256: "value" }]);
    const payload = { ...inline(3), chunks: ["result"] };
    await store().ledger.recordResults([aResult("ca_1", 0, { payload, finishedAtMs: 50 })]);
    const { blobs, calls } = await reopen();
    expect(await blobs.unnamed(ALL)).toEqual(["loose"]);
    expect(await calls.expire({ beforeMs: 51, nowMs: 500, limit: 1 })).toBe(1);
    expect(await blobs.unnamed({ ...ALL, beforeMs: 500 })).toEqual(["loose"]);
    expect(await blobs.unnamed({ ...ALL, beforeMs: 501 })).toEqual([...names, "loose"].sort());
  });

  it("takes no names from a result that was not the first", async () => {
    const { blobs, ledger } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 1));
    for (const sha256 of ["first", "second"]) {
      await blobs.use(sha256, 10);
      const payload = { kind: "blob", sha256, byteCount: 70_000 } as const;
      await ledger.recordResults([aResult("ca_1", 0, { payload })]);
    }
    expect(await blobs.unnamed(ALL)).toEqual(["second"]);
  });
}

function testRemoval({ store }: OpenBench): void {
  it("lets one remove a blob, and nobody use it meanwhile", async () => {
    const { blobs } = store();
    await blobs.use("a", 10);
    const when = { beforeMs: 11, nowMs: 100 };
    expect(await blobs.claim("a", { ...when, beforeMs: 10 })).toBe(false);
    const claims = await Promise.all([1, 2, 3].map(() => blobs.claim("a", when)));
    expect(claims).toEqual([true, false, false]);
    expect(await blobs.use("a", 101)).toBe(false);
    expect(await blobs.keep("a", 101)).toBe(false);
    expect(await blobs.renew("a", 101)).toBe(false);
    await blobs.forget("a");
    expect(await blobs.unnamed(ALL)).toEqual([]);
    expect(await blobs.use("a", 102)).toBe(true);
    expect(await blobs.unnamed(ALL)).toEqual(["a"]);
  });

  it("frees a blob of a removal that never ended, and forgets nothing that was used since", async () => {
    const { blobs } = store();
    for (const sha256 of ["a", "b"]) {
      await blobs.use(sha256, 10);
      await blobs.claim(sha256, { beforeMs: 11, nowMs: 100 });
    }
    const laterMs = 101 + REMOVAL_MS_MAX;
    expect(await blobs.use("a", laterMs)).toBe(true);
    await blobs.forget("a");
    expect(await blobs.claim("b", { beforeMs: 11, nowMs: laterMs })).toBe(true);
    expect(await blobs.unnamed({ ...ALL, beforeMs: laterMs + 1 })).toEqual(["a", "b"]);
  });
}
