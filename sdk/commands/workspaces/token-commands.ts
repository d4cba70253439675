/** `flotilla token`: what it does; `add-workspace.ts` declares it. */
import { Client } from "../../client/client.ts";
import { allPages } from "../../client/pages.ts";
import { UsageError } from "../../errors.ts";
import {
  TOKEN_SCOPES,
  type CreatedToken,
  type NewApiToken,
  type TokenList,
  type TokenScope,
  type TokenSummary,
} from "../../protocol/index.ts";
import { spanMsOf } from "../span.ts";
import { ageOf, tableOf } from "../table.ts";
import { printData, printJson, printProgress } from "../terminal.ts";
import type { TokenOptions } from "./options.ts";

/** Makes a token and prints it on stdout; all else goes to stderr. */
export async function createToken(
  name: string,
  { scope, expires, json, workspace }: TokenOptions & { readonly scope: readonly string[] },
): Promise<void> {
  const body: NewApiToken = {
    name,
    scopes: scope.map(scopeOf),
    ...(expires === undefined ? {} : { expiresInMs: spanMsOf(expires, "--expires") }),
  };
  const created = await clientOf(workspace).transport.json<CreatedToken>({
    method: "POST",
    path: "/v1/tokens",
    body: JSON.stringify(body),
    contentType: "application/json",
    // A second try could make a second token, whose secret nobody would have.
    retryForMs: 0,
  });
  if (json === true) {
    printJson(created);
    return;
  }
  const { tokenId, scopes } = created;
  printData(created.secret);
  printProgress(`Made token ${name} (${tokenId}) with ${scopes.join(", ")}`);
  printProgress("It is not shown again: keep it, such as in FLOTILLA_TOKEN");
}

/** The tokens of the workspace, without secrets. */
export async function listTokens({ json, workspace }: TokenOptions): Promise<void> {
  const pages = await allPages<TokenList>(clientOf(workspace).transport, "/v1/tokens");
  const tokens = pages.flatMap((page) => page.tokens);
  if (json === true) printJson({ tokens });
  else printData(tokenTable(tokens, Date.now()));
}

/** Ends a token. */
export async function revokeToken(
  tokenId: string,
  { json, workspace }: TokenOptions,
): Promise<void> {
  const revoked = await clientOf(workspace).transport.json<TokenSummary>({
    method: "DELETE",
    path: `/v1/tokens/${encodeURIComponent(tokenId)}`,
  });
  if (json === true) printJson(revoked);
  else printProgress(`Revoked token ${revoked.name} (${tokenId})`);
}

/** Tokens as a table, in the order given. */
export function tokenTable(tokens: readonly TokenSummary[], nowMs: number): string {
  return tableOf(
    ["TOKEN", "NAME", "SCOPES", "STATE", "AGE", "LAST USED", "EXPIRES (UTC)"],
    tokens.map(({ tokenId, name, scopes, state, createdAtMs, lastUsedAtMs, expiresAtMs }) => [
      tokenId,
      name,
      scopes.join(", "),
      state,
      ageOf(createdAtMs, nowMs),
      lastUsedAtMs === undefined ? "never" : ageOf(lastUsedAtMs, nowMs),
      expiresAtMs === undefined
        ? "-"
        : new Date(expiresAtMs).toISOString().slice(0, 16).replace("T", " "),
    ]),
  );
}

function clientOf(workspace: string | undefined): Client {
  return new Client(workspace === undefined ? {} : { workspace });
}

function scopeOf(text: string): TokenScope {
  const scope = TOKEN_SCOPES.find((each) => each === text.trim());
  if (scope !== undefined) return scope;
  throw new UsageError(`there is no scope "${text}"`, `choose of ${TOKEN_SCOPES.join(", ")}`);
}
