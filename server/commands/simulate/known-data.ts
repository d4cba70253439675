/** Public traces by name, in a folder laid out as docs/traces.md says. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { RunSpec, TraceFormat } from "../../../simulations/index.ts";
import { CommandError } from "../outcome.ts";

type Trace = NonNullable<RunSpec["trace"]>;

/** The layout of names: what comes before the slash, and where what comes after it is. */
const TRACES: readonly {
  readonly prefix: string;
  readonly format: TraceFormat;
  readonly fileOf: (name: string) => string;
  readonly example: string;
}[] = [
  {
    prefix: "servegen",
    format: "servegen",
    fileOf: (name) => join("servegen", `${name}_aggregate.csv`),
    example: "servegen/m-mid",
  },
  {
    prefix: "azure-llm-2023",
    format: "azure-llm",
    fileOf: (name) => join("azure-llm-2023", `AzureLLMInferenceTrace_${name}.csv`),
    example: "azure-llm-2023/conv",
  },
];

/** Nine zones of V100 machines in February 2023, one machine asked for in each. */
const SPOT_NAME = "v100-2023";
const SPOT_ZONES = [
  ...["us-east-1a", "us-east-1c", "us-east-1d", "us-east-1f", "us-east-2a", "us-east-2b"],
  ...["us-west-2a", "us-west-2b", "us-west-2c"],
] as const;

/**
 * The trace of a name or a file; a file that is there goes first.
 *
 * @throws CommandError `usage` for a file without a format, and for names that lead nowhere.
 */
export function knownTrace(
  given: string,
  format: TraceFormat | undefined,
  dataDir: string | undefined,
): Trace {
  const known = TRACES.find(({ prefix }) => given.startsWith(`${prefix}/`));
  if (known === undefined || existsSync(given)) {
    if (format !== undefined) return { file: given, format };
    const names = TRACES.map(({ example }) => example).join(" or ");
    throw new CommandError("usage", `--trace ${given} needs --format`, {
      nextStep: `say how it is laid out (docs/traces.md), or take a known name such as ${names}`,
    });
  }
  if (format !== undefined && format !== known.format) {
    throw new CommandError("usage", `${given} is laid out as ${known.format}, not as ${format}`);
  }
  const name = given.slice(known.prefix.length + 1);
  const file = inData(`--trace ${given}`, known.fileOf(name), dataDir);
  return { file, format: known.format, name: given };
}

/** `calm`, the known zones, or files. @throws CommandError `usage`. */
export function knownSpot(
  given: readonly string[],
  dataDir: string | undefined,
): NonNullable<RunSpec["spot"]> {
  if (given.length === 1 && given[0] === "calm") return { kind: "calm" };
  const absent = given.find((one) => one !== SPOT_NAME && !existsSync(one));
  if (absent !== undefined) {
    throw new CommandError("usage", `--spot ${absent} is neither a file nor a known market`, {
      nextStep: `take calm alone, ${SPOT_NAME}, or files of measured availability, one zone each`,
    });
  }
  const files = given.flatMap((one) =>
    one === SPOT_NAME
      ? SPOT_ZONES.map((zone) =>
          inData(
            `--spot ${SPOT_NAME}`,
            join("spot-traces", `availability_1-node_aws-02-15-2023_${zone}_v100_1.json`),
            dataDir,
          ),
        )
      : [one],
  );
  return { kind: "measured", files };
}

function inData(asked: string, path: string, dataDir: string | undefined): string {
  if (dataDir === undefined) {
    throw new CommandError("usage", `${asked} is a known name: say where the data is`, {
      nextStep: "give --data DIR (docs/traces.md says what is in it), or name a file",
    });
  }
  const file = join(dataDir, path);
  const found = [`${file}.gz`, file].find((one) => existsSync(one));
  if (found !== undefined) return found;
  throw new CommandError("usage", `${asked}: neither ${file} nor ${file}.gz is there`, {
    nextStep: "docs/traces.md says where the public originals are",
  });
}
