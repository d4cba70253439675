/** What the command line says to `flotilla catalog`. */
import { PRICED_CLOUDS, type PricedCloud } from "../../../providers/prices/index.ts";
import { nearestWord } from "../../../documents/index.ts";
import { CommandError } from "../outcome.ts";

/** Options that all commands of the group take. */
export interface CatalogOptions {
  readonly data?: string;
  readonly cloud?: readonly string[];
  readonly region?: readonly string[];
  readonly json?: boolean;
}

export interface ListOptions extends CatalogOptions {
  readonly gpu?: string;
}

export type ShowOptions = CatalogOptions;

export interface RefreshCommandOptions extends CatalogOptions {
  readonly out?: string;
  readonly dryRun?: boolean;
  readonly acceptJumps?: boolean;
}

/** The clouds that were named; all when none was. @throws CommandError `usage` */
export function cloudsOf({ cloud: names = [] }: CatalogOptions): readonly PricedCloud[] {
  if (names.length === 0) return PRICED_CLOUDS;
  const clouds = names.map((name) => {
    const cloud = PRICED_CLOUDS.find((known) => known === name);
    if (cloud !== undefined) return cloud;
    const near = nearestWord(name, PRICED_CLOUDS);
    const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
    throw new CommandError(
      "usage",
      `--cloud takes ${PRICED_CLOUDS.join(", ")}, not ${name}${hint}`,
    );
  });
  return [...new Set(clouds)];
}

/** The regions that were named, if any. @throws CommandError `usage` */
export function regionsOf({ region: names }: CatalogOptions): readonly string[] | undefined {
  const wrong = names?.find((name) => !/^[a-z][a-z0-9-]{1,60}$/.test(name));
  if (wrong === undefined) return names === undefined ? undefined : [...new Set(names)];
  throw new CommandError("usage", `--region takes a region such as us-east-1, not ${wrong}`);
}
