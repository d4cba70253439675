import { join } from "node:path";

/** Where the embedded record store of a data folder is. */
export function recordStorePath(dataDir: string): string {
  return join(dataDir, "records.sqlite");
}
