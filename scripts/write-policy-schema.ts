/** Writes `docs/policy.schema.json`, the JSON schema of policy files; a test holds it equal. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { format, resolveConfig } from "prettier";
import { policyJsonSchema } from "../server/policy/policy-file.ts";
import { ROOT } from "./steps.ts";

const path = join(ROOT, "docs/policy.schema.json");
const options = { ...(await resolveConfig(path)), filepath: path };
writeFileSync(path, await format(JSON.stringify(policyJsonSchema()), options));
