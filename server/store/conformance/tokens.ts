/** API, join and session tokens. */
import { expect, it } from "vitest";
import { aToken, type OpenBench } from "./samples.ts";

/** Declares the suite of `RecordStore.tokens`. */
export function testTokens({ store, reopen }: OpenBench): void {
  const join = aToken("to_join", { kind: "join", nodeId: "no_1", expiresAtMs: 9_000 });

  it("finds a token by its hash, as it was put, also after it was opened again", async () => {
    for (const token of [aToken("to_1"), join]) await store().tokens.put(token);
    for (const open of [store, reopen]) {
      const { tokens } = await open();
      expect(await tokens.find("sha-of-to_1")).toEqual(aToken("to_1"));
      expect(await tokens.find(join.sha256)).toEqual(join);
      expect(await tokens.find("to_1")).toBeUndefined();
    }
  });

  it("lists the tokens of one workspace, oldest first", async () => {
    const { tokens } = store();
    await tokens.put(aToken("to_2", { createdAtMs: 2_000 }));
    await tokens.put(aToken("to_1", { createdAtMs: 3_000, kind: "agent", nodeId: "no_1" }));
    await tokens.put(aToken("to_3", { workspaceId: "ws_2" }));
    const listed = await tokens.list("ws_1");
    expect(listed.map(({ tokenId }) => tokenId)).toEqual(["to_2", "to_1"]);
  });

  it("replaces a token that is put again", async () => {
    const { tokens } = store();
    await tokens.put(aToken("to_1"));
    await tokens.put(aToken("to_1", { sha256: "rotated" }));
    expect(await tokens.find("sha-of-to_1")).toBeUndefined();
    expect(await tokens.list("ws_1")).toEqual([aToken("to_1", { sha256: "rotated" })]);
  });

  it("keeps what a user's token may do, and when it was last used", async () => {
    const { tokens } = store();
    const token = aToken("to_1", { scopes: ["read", "call"], expiresAtMs: 9_000 });
    await tokens.put(token);
    expect(await tokens.find(token.sha256)).toEqual(token);
    await Promise.all([5_000, 7_000, 6_000].map((atMs) => tokens.noteUse("to_1", atMs)));
    await tokens.noteUse("to_none", 8_000);
    expect(await (await reopen()).tokens.list("ws_1")).toEqual([{ ...token, lastUsedAtMs: 7_000 }]);
  });

  it("revokes a user's token of this workspace, once and for good", async () => {
    const { tokens } = store();
    await tokens.put(aToken("to_1"));
    await tokens.put(join);
    expect(await tokens.revoke("ws_2", "to_1", 5_000)).toBeUndefined();
    expect(await tokens.revoke("ws_1", join.tokenId, 5_000)).toBeUndefined();
    expect(await tokens.revoke("ws_1", "to_none", 5_000)).toBeUndefined();
    expect(await tokens.find(join.sha256)).toEqual(join);
    const revoked = { ...aToken("to_1"), revokedAtMs: 5_000 };
    expect(await tokens.revoke("ws_1", "to_1", 5_000)).toEqual(revoked);
    expect(await tokens.revoke("ws_1", "to_1", 6_000)).toEqual(revoked);
    expect(await (await reopen()).tokens.find("sha-of-to_1")).toEqual(revoked);
  });

  it("hands a token to exactly one of those who take it at the same time", async () => {
    const { tokens } = store();
    await tokens.put(join);
    const taken = await Promise.all([1, 2, 3].map(() => tokens.take(join.tokenId)));
    expect(taken.filter((token) => token !== undefined)).toEqual([join]);
    expect(await tokens.find(join.sha256)).toBeUndefined();
    expect(await tokens.take(join.tokenId)).toBeUndefined();
  });
}
