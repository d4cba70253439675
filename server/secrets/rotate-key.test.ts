import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RecordStore } from "../store/record-store.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import { operatorKeyOf, sealSecret } from "./envelope.ts";
import { rotateSecretKey } from "./rotate-key.ts";
import { findSecretKey, nextKeyPath, parseSecretKey, secretKeyPath } from "./secret-key.ts";
import { SecretVault } from "./secret-vault.ts";

const WHO = { workspaceId: "main", tokenId: "to_1" };
const USER = { workspaceId: "main", appId: "ap_1" };

let dataDir: string;
let store: RecordStore;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "flotilla-key-"));
  store = openRecordStore(join(dataDir, "records"));
});
afterEach(async () => {
  await store.close();
  rmSync(dataDir, { recursive: true });
});

const reopen = async (): Promise<void> => {
  await store.close();
  store = openRecordStore(join(dataDir, "records"));
};

async function find(given?: Uint8Array) {
  const keyIdsInUse = new Set((await store.secrets.list()).map(({ keyId }) => keyId));
  return findSecretKey({ dataDir, given, keyIdsInUse });
}

async function vault(given?: Uint8Array): Promise<SecretVault> {
  return new SecretVault({ store, key: await find(given), clock: { nowMs: () => 1 } });
}

const valueOf = async (given?: Uint8Array): Promise<string | undefined> =>
  (await (await vault(given)).valuesFor(USER, [{ name: "db" }]))["A"];

const keep = async (given?: Uint8Array): Promise<void> => {
  await (await vault(given)).create(WHO, { name: "db", values: { A: "kept" } });
};

describe("the key in the data folder", () => {
  test("is made once, for its owner alone", async () => {
    const first = await find();
    expect(statSync(secretKeyPath(dataDir)).mode & 0o777).toBe(0o600);
    expect(await find()).toEqual(first);
  });

  test.each([0o640, 0o604, 0o660, 0o666, 0o610])(
    "is not used when others can reach it (%o)",
    async (mode) => {
      await find();
      chmodSync(secretKeyPath(dataDir), mode);
      await expect(find()).rejects.toThrow(/chmod 600/);
    },
  );

  test("is no link, and no text that is no key", async () => {
    const path = secretKeyPath(dataDir);
    writeFileSync(join(dataDir, "elsewhere"), "00".repeat(32), { mode: 0o600 });
    symlinkSync(join(dataDir, "elsewhere"), path);
    await expect(find()).rejects.toThrow(/no link/);
    for (const content of ["", "abc", "00".repeat(31), `${"00".repeat(32)}00`]) {
      rmSync(path);
      writeFileSync(path, content, { mode: 0o600 });
      await expect(find()).rejects.toThrow(/holds no key/);
    }
  });

  test("that is gone is not made anew while there are secrets", async () => {
    await keep();
    const key = readFileSync(secretKeyPath(dataDir));
    rmSync(secretKeyPath(dataDir));
    expect(await find()).toMatchObject({ kind: "missing" });
    expect(existsSync(secretKeyPath(dataDir))).toBe(false);
    writeFileSync(secretKeyPath(dataDir), key, { mode: 0o600 });
    expect(await valueOf()).toBe("kept");
  });
});

describe("changing the key", () => {
  test("in the data folder keeps every value, and the old key opens none", async () => {
    await keep();
    const old = await find();
    const report = await rotateSecretKey(store, { dataDir, given: undefined, next: undefined });
    expect(report).toMatchObject({ secretCount: 1, isGiven: false });
    await reopen();
    expect(await find()).not.toEqual(old);
    expect(await valueOf()).toBe("kept");
    expect(statSync(secretKeyPath(dataDir)).mode & 0o777).toBe(0o600);
    expect(existsSync(nextKeyPath(dataDir))).toBe(false);
    if (old.kind === "missing") throw new Error("there was a key");
    await expect(valueOf(old.key.bytes)).rejects.toThrow(/is encrypted under the key/);
  });

  test("to one of the environment, and on to another, removes that of the folder", async () => {
    const [one, two] = [new Uint8Array(32).fill(3), new Uint8Array(32).fill(4)];
    await keep();
    await rotateSecretKey(store, { dataDir, given: undefined, next: one });
    await reopen();
    expect(existsSync(secretKeyPath(dataDir))).toBe(false);
    expect(await find()).toMatchObject({ kind: "missing" });
    expect(await valueOf(one)).toBe("kept");
    await rotateSecretKey(store, { dataDir, given: one, next: two });
    await reopen();
    expect(await valueOf(two)).toBe("kept");
  });

  test("by a wrong key changes nothing", async () => {
    const [one, two] = [new Uint8Array(32).fill(3), new Uint8Array(32).fill(4)];
    await keep(one);
    await expect(rotateSecretKey(store, { dataDir, given: two, next: one })).rejects.toThrow(
      /is encrypted under the key/,
    );
    await expect(rotateSecretKey(store, { dataDir, given: one, next: undefined })).rejects.toThrow(
      /FLOTILLA_SECRET_KEY_NEXT/,
    );
    expect(await valueOf(one)).toBe("kept");
  });

  test("that was cut off before the records were written is undone", async () => {
    await keep();
    writeFileSync(nextKeyPath(dataDir), "05".repeat(32), { mode: 0o600 });
    expect(await valueOf()).toBe("kept");
    expect(existsSync(nextKeyPath(dataDir))).toBe(false);
  });

  test("that was cut off after that is finished", async () => {
    await keep();
    const next = operatorKeyOf(new Uint8Array(32).fill(5));
    const [known] = await store.secrets.list();
    if (known === undefined) throw new Error("it was kept");
    const later = { ...known, version: 2 };
    await store.secrets.put({ ...later, ...sealSecret(later, { A: "kept" }, next) });
    writeFileSync(nextKeyPath(dataDir), "05".repeat(32), { mode: 0o600 });
    expect(await valueOf()).toBe("kept");
    expect(readFileSync(secretKeyPath(dataDir), "utf8")).toBe("05".repeat(32));
  });
});

test("a key is 32 bytes in hexadecimal or base64, and nothing else", () => {
  const bytes = Buffer.from(Array.from({ length: 32 }, (_, at) => at * 8 + 7));
  for (const encoding of ["hex", "base64", "base64url"] as const) {
    expect(parseSecretKey(bytes.toString(encoding))).toEqual(bytes);
  }
  for (const text of ["", "password", bytes.toString("hex").slice(1), "é".repeat(32)]) {
    expect(parseSecretKey(text)).toBeUndefined();
  }
});
