import { beforeEach, describe, expect, test } from "vitest";
import type { DeployRequest, SecretRef } from "../../sdk/protocol/index.ts";
import type { RecordStore } from "../store/record-store.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import { operatorKeyOf } from "./envelope.ts";
import { SecretVault } from "./secret-vault.ts";

const KEY = operatorKeyOf(new Uint8Array(32).fill(1));
const OTHER_KEY = operatorKeyOf(new Uint8Array(32).fill(2));
const WHO = { workspaceId: "main", tokenId: "to_1" };
const STRANGER = { workspaceId: "other", tokenId: "to_2" };
const USER = { workspaceId: "main", appId: "ap_1" };

let store: RecordStore;
let nowMs: number;
let vault: SecretVault;

const vaultWith = (key: ConstructorParameters<typeof SecretVault>[0]["key"]): SecretVault =>
  new SecretVault({ store, key, clock: { nowMs: () => nowMs } });

beforeEach(() => {
  store = openRecordStore(":memory:");
  nowMs = 1_000;
  vault = vaultWith({ kind: "key", key: KEY });
});

const refs = (...names: readonly string[]): readonly SecretRef[] => names.map((name) => ({ name }));

function deployment(ref: SecretRef, own?: DeployRequest["ownSecrets"]): DeployRequest {
  const functions = [{ name: "load", spec: { secrets: [ref] } }];
  const request = { mode: "ephemeral", codeSha256: "c0de", functions } as const;
  return own === undefined ? request : { ...request, ownSecrets: own };
}

describe("values", () => {
  test("are in no answer and in no record", async () => {
    const value = "hunter2-hunter2";
    const answers = [
      await vault.create(WHO, { name: "db", values: { PASSWORD: value, USER: "bob" } }),
      await vault.update(WHO, "db", { set: { PASSWORD: `${value}!` } }),
      await vault.list(WHO),
    ];
    expect(answers[1]).toEqual({
      name: "db",
      keys: ["PASSWORD", "USER"],
      version: 2,
      createdAtMs: 1_000,
      updatedAtMs: 1_000,
    });
    const records = (await store.secrets.list()).map((secret) => [
      Buffer.from(secret.wrappedKey).toString("latin1"),
      ...secret.values.map(({ sealed }) => Buffer.from(sealed).toString("latin1")),
    ]);
    expect(JSON.stringify([answers, records])).not.toContain(value);
    expect(await vault.valuesFor(USER, refs("db"))).toEqual({ PASSWORD: `${value}!`, USER: "bob" });
  });

  test("of a later secret go before those of an earlier one", async () => {
    await vault.create(WHO, { name: "a", values: { X: "1", ONLY_A: "a" } });
    await vault.create(WHO, { name: "b", values: { X: "2" } });
    expect(await vault.valuesFor(USER, refs("a", "b"))).toEqual({ X: "2", ONLY_A: "a" });
    expect(await vault.valuesFor(USER, refs("b", "a"))).toEqual({ X: "1", ONLY_A: "a" });
  });

  test("that were changed are found by whoever asks after that", async () => {
    await vault.create(WHO, { name: "a", values: { X: "1", Y: "1" } });
    nowMs = 2_000;
    await vault.update(WHO, "a", { set: { X: "2", Z: "3" }, unset: ["Y"] });
    expect(await vault.valuesFor(USER, refs("a"))).toEqual({ X: "2", Z: "3" });
    expect(await vault.list(WHO)).toMatchObject([{ createdAtMs: 1_000, updatedAtMs: 2_000 }]);
  });

  test.each([
    ["a NUL", { A: "x\0y" }, /NUL/],
    ["half a surrogate pair", { A: "\ud800" }, /surrogate/],
    ["a name with a dash", { "A-B": "x" }, /no name of a variable/],
    ["a name with =", { "A=B": "x" }, /no name of a variable/],
    ["a name that begins with a digit", { "1A": "x" }, /no name of a variable/],
    ["an empty name", { "": "x" }, /no name of a variable/],
    ["nothing", {}, /at least one variable/],
    ["a value that is too large", { A: "x".repeat(65_536) }, /at most 65536 bytes/],
    [
      "too many",
      Object.fromEntries(Array.from({ length: 257 }, (_, at) => [`A${at}`, ""])),
      /at most 256 variables/,
    ],
  ])("with %s are refused", async (_what, values, message) => {
    const creating = vault.create(WHO, { name: "a", values });
    await expect(creating).rejects.toThrow(message);
    await expect(creating).rejects.toMatchObject({ code: "invalid_request" });
    expect(await store.secrets.list()).toEqual([]);
  });

  test("that would make a secret too large together are refused, and it stays", async () => {
    await vault.create(WHO, { name: "a", values: { A: "x".repeat(40_000) } });
    const update = { set: { B: "x".repeat(40_000) } };
    await expect(vault.update(WHO, "a", update)).rejects.toThrow(/at most 65536 bytes/);
    await expect(vault.update(WHO, "a", { unset: ["A"] })).rejects.toThrow(/at least one/);
    await expect(vault.update(WHO, "a", { unset: ["B"] })).rejects.toThrow(/no B to unset/);
    await expect(vault.update(WHO, "a", {})).rejects.toThrow(/nothing to change/);
    expect(await vault.list(WHO)).toMatchObject([{ keys: ["A"], version: 1 }]);
  });
});

describe("another workspace's secret", () => {
  test("is not seen, changed, removed, named or shadowed", async () => {
    await vault.create(WHO, { name: "db", values: { A: "ours" } });
    expect(await vault.list(STRANGER)).toEqual([]);
    const notFound = { code: "not_found" };
    await expect(vault.update(STRANGER, "db", { set: { A: "" } })).rejects.toMatchObject(notFound);
    await expect(vault.remove(STRANGER, "db")).rejects.toMatchObject(notFound);
    const theirs = { workspaceId: "other", appId: "ap_2" };
    await expect(vault.valuesFor(theirs, refs("db"))).rejects.toMatchObject(notFound);
    await expect(vault.checkDeployment("other", deployment({ name: "db" }))).rejects.toThrow(
      /does not exist/,
    );
    await vault.create(STRANGER, { name: "db", values: { A: "theirs" } });
    expect(await vault.valuesFor(USER, refs("db"))).toEqual({ A: "ours" });
  });
});

describe("a deployment", () => {
  test("that names a missing secret or variable says what to do", async () => {
    const missing = deployment({ name: "db", requiredKeys: ["PASSWORD"] });
    await expect(vault.checkDeployment("main", missing)).rejects.toThrow(
      "function load needs secret db, which does not exist; " +
        "create it: flotilla secret create db PASSWORD=VALUE",
    );
    await vault.create(WHO, { name: "db", values: { USER: "bob" } });
    await expect(vault.checkDeployment("main", missing)).rejects.toThrow(
      "function load needs PASSWORD in secret db, which has USER; " +
        "add it: flotilla secret update db PASSWORD=VALUE",
    );
    await vault.update(WHO, "db", { set: { PASSWORD: "x" } });
    await vault.checkDeployment("main", missing);
    await expect(vault.checkDeployment("main", deployment({ name: "#1" }))).rejects.toThrow(
      /came with its app/,
    );
  });

  test("keeps its own secrets apart from others', and they go with it", async () => {
    const own = { "#1": { A: "1" } };
    await vault.checkDeployment("main", deployment({ name: "#1", requiredKeys: ["A"] }, own));
    await vault.keepOwn(USER, own);
    await vault.keepOwn({ ...USER, appId: "ap_2" }, { "#1": { A: "2" } });
    expect(await vault.list(WHO)).toEqual([]);
    expect(await vault.valuesFor(USER, refs("#1"))).toEqual({ A: "1" });
    await vault.forgetOwn("main", (appId) => appId === "ap_2");
    await expect(vault.valuesFor(USER, refs("#1"))).rejects.toMatchObject({ code: "not_found" });
    expect(await vault.valuesFor({ ...USER, appId: "ap_2" }, refs("#1"))).toEqual({ A: "2" });
  });

  test("cannot name another app's own secret as a secret of the workspace", async () => {
    await vault.keepOwn(USER, { "#1": { A: "1" } });
    await expect(vault.create(WHO, { name: "ap_1#1", values: { A: "x" } })).rejects.toMatchObject({
      code: "invalid_request",
    });
  });
});

describe("the operator's key", () => {
  test("that is another one opens nothing, writes nothing, and loses nothing", async () => {
    await vault.create(WHO, { name: "db", values: { A: "1" } });
    const wrong = vaultWith({ kind: "key", key: OTHER_KEY });
    const unavailable = { code: "unavailable", retryable: false };
    await expect(wrong.valuesFor(USER, refs("db"))).rejects.toMatchObject(unavailable);
    await expect(wrong.update(WHO, "db", { set: { A: "2" } })).rejects.toMatchObject(unavailable);
    const another = { name: "another", values: { B: "1" } };
    await expect(wrong.create(WHO, another)).rejects.toThrow(/start it with that key, or delete/);
    expect(await wrong.list(WHO)).toMatchObject([{ name: "db", keys: ["A"] }]);
    expect(await vault.valuesFor(USER, refs("db"))).toEqual({ A: "1" });
    await wrong.remove(WHO, "db");
    await wrong.create(WHO, another);
  });

  test("that is missing is told to whoever needs it", async () => {
    const none = vaultWith({ kind: "missing", problem: "the key is not there" });
    await expect(none.create(WHO, { name: "a", values: { A: "" } })).rejects.toThrow(
      "the key is not there",
    );
    expect(await none.list(WHO)).toEqual([]);
  });
});

test("of two that create or change one secret at once, one is told", async () => {
  const creating = ["1", "2"].map((A) => vault.create(WHO, { name: "a", values: { A } }));
  const created = await Promise.allSettled(creating);
  expect(created.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  await expect(vault.create(WHO, { name: "a", values: { A: "" } })).rejects.toMatchObject({
    code: "conflict",
  });
  const changed = await Promise.allSettled(
    ["3", "4"].map((A) => vault.update(WHO, "a", { set: { A } })),
  );
  expect(changed.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  await expect(vault.remove(WHO, "b")).rejects.toThrow("there is no secret b");
});
