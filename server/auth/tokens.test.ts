import { beforeEach, expect, test } from "vitest";
import { countingIds } from "../../core/index.ts";
import type { StoredToken } from "../store/record-store.ts";
import { bearerTokenOf, createAuthenticator, createToken, hashToken } from "./tokens.ts";

const USER = { workspaceId: "main", name: "laptop", kind: "user" } as const;

let nowMs: number;
let rows: Map<string, StoredToken>;
let finds: number;
const clock = { nowMs: () => nowMs };
const uses: string[] = [];
const store = {
  noteUse: async (tokenId: string, atMs: number) => void uses.push(`${tokenId} ${atMs}`),
  put: async (token: StoredToken) => void rows.set(token.sha256, token),
  find: async (sha256: string) => {
    finds += 1;
    return rows.get(sha256);
  },
};

beforeEach(() => {
  nowMs = 1_000_000;
  rows = new Map();
  finds = 0;
  uses.splice(0);
});

const create = async (extra: { expiresAtMs?: number } = {}) =>
  createToken(store, { ...USER, ...extra }, { clock, ids: countingIds() });

test("a created token is found again and only its hash is stored", async () => {
  const { token, stored } = await create();
  expect(token).toMatch(/^fl_[a-z2-7]{52}$/);
  expect(JSON.stringify([...rows])).not.toContain(token.slice(3));
  expect(stored.sha256).toBe(hashToken(token));
  expect(await createAuthenticator(store, clock).authenticate(`Bearer ${token}`)).toEqual(stored);
});

test("two tokens differ", async () => {
  expect((await create()).token).not.toBe((await create()).token);
});

test("a token in use is looked up once in a while, not at each request", async () => {
  const { token } = await create();
  const { authenticate } = createAuthenticator(store, clock);
  for (let index = 0; index < 50; index += 1) await authenticate(`Bearer ${token}`);
  expect(finds).toBe(1);
});

test("a revoked token stops working within five seconds", async () => {
  const { token } = await create();
  const { authenticate } = createAuthenticator(store, clock);
  expect(await authenticate(`Bearer ${token}`)).toBeDefined();
  rows.clear();
  nowMs += 4_999;
  expect(await authenticate(`Bearer ${token}`)).toBeUndefined();
});

test("a token that was revoked through this server stops at once, and is kept as revoked", async () => {
  const { token, stored } = await create();
  const { authenticate, forget } = createAuthenticator(store, clock);
  expect(await authenticate(`Bearer ${token}`)).toBeDefined();
  rows.set(stored.sha256, { ...stored, revokedAtMs: nowMs });
  forget();
  expect(await authenticate(`Bearer ${token}`)).toBeUndefined();
  nowMs += 4_999;
  expect(await authenticate(`Bearer ${token}`)).toBeUndefined();
});

test("the use of a token is noted once a minute, that of a refused one never", async () => {
  const { token, stored } = await create({ expiresAtMs: nowMs + 100_000 });
  const { authenticate } = createAuthenticator(store, clock);
  await authenticate(`Bearer ${token}`);
  expect(uses).toEqual([`${stored.tokenId} ${nowMs}`]);
  rows.set(stored.sha256, { ...stored, lastUsedAtMs: nowMs });
  for (const laterMs of [5_000, 30_000, 59_999, 100_000]) {
    nowMs = 1_000_000 + laterMs;
    await authenticate(`Bearer ${token}`);
  }
  expect(uses).toHaveLength(1);
  nowMs += 5_000;
  rows.set(stored.sha256, { ...stored, expiresAtMs: nowMs + 9, lastUsedAtMs: nowMs - 60_000 });
  await authenticate(`Bearer ${token}`);
  expect(uses).toEqual([`${stored.tokenId} 1000000`, `${stored.tokenId} 1105000`]);
});

test("an expired token does not work, cached or not", async () => {
  const { token } = await create({ expiresAtMs: nowMs + 10 });
  const { authenticate } = createAuthenticator(store, clock);
  expect(await authenticate(`Bearer ${token}`)).toBeDefined();
  nowMs += 10;
  expect(await authenticate(`Bearer ${token}`)).toBeUndefined();
});

test("unknown tokens are asked for every time and never push a good one out", async () => {
  const { token } = await create();
  const { authenticate } = createAuthenticator(store, clock);
  await authenticate(`Bearer ${token}`);
  for (let index = 0; index < 100; index += 1) {
    const guess = `fl_${String(index)
      .replaceAll(/[0189]/g, "a")
      .padStart(52, "b")}`;
    expect(await authenticate(`Bearer ${guess}`)).toBeUndefined();
  }
  const before = finds;
  await authenticate(`Bearer ${token}`);
  expect(finds).toBe(before);
});

test.each([
  undefined,
  "",
  "Bearer",
  "Bearer ",
  "Basic fl_aaaa",
  "Bearer fl_short",
  `Bearer  fl_${"a".repeat(52)}`,
  `Bearer fl_${"a".repeat(52)} x`,
  `Bearer fl_${"A".repeat(52)}`,
  `Bearer fl_${"a".repeat(53)}`,
  `fl_${"a".repeat(52)}`,
])("%j carries no token", (header) => {
  expect(bearerTokenOf(header)).toBeUndefined();
});
