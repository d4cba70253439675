/** What the scopes of a token include. */
import { TOKEN_SCOPES, type TokenScope } from "../../sdk/protocol/index.ts";

const INCLUDED: Readonly<Record<TokenScope, readonly TokenScope[]>> = {
  read: ["read"],
  call: ["call"],
  deploy: ["read", "call", "deploy"],
  admin: ["read", "call", "deploy", "admin"],
  operator: TOKEN_SCOPES,
};

/** Whether a token with the scopes `held` may do what `needed` allows. */
export function allows(held: readonly TokenScope[], needed: TokenScope): boolean {
  return held.some((scope) => INCLUDED[scope].includes(needed));
}
