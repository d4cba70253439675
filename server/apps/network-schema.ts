/** Checks a `NetworkPolicy`, of a function or a sandbox. */
import { z } from "zod";
import { parseAllowedHost } from "../../sandbox/index.ts";
import type { NetworkPolicy } from "../../sdk/protocol/index.ts";

const HOSTS_MAX = 100;
const HOST_CHARACTERS_MAX = 260;

const allowedHost = z
  .string()
  .max(HOST_CHARACTERS_MAX)
  .refine((pattern) => parseAllowedHost(pattern) !== undefined, {
    error: ({ input }) =>
      `${JSON.stringify(input)} is no host: write "api.example.com", "*.example.com", ` +
      '"db.example.com:5432" or "*"',
  });

export const networkPolicySchema = z.union([
  z.strictObject({ egress: z.literal("none") }),
  z.strictObject({ block: z.literal(true) }),
  z.strictObject({ allowHosts: z.array(allowedHost).min(1).max(HOSTS_MAX) }),
]) satisfies z.ZodType<NetworkPolicy>;
