/** What `flotilla init` writes: small programs, each of which runs as it is. */

/** Such as `hello`. */
export interface Template {
  readonly name: string;
  /** One line for the list. */
  readonly about: string;
  /** Text by file name. */
  readonly files: Readonly<Record<string, string>>;
}

/** The file of every template that `flotilla run` takes. */
export const MAIN_FILE = "main.ts";

const HELLO = `import { App } from "flotilla";

const app = new App("hello");

export const greet = app.function({}, (name: string) => \`Hello, \${name}!\`);

// Runs on your machine; greet runs in a container.
app.localEntrypoint(async (name = "world") => {
  console.log(await greet.remote(name));
});
`;

const GPU_MAP = `import { App } from "flotilla";

const app = new App("gpu-map");

// Any of these will do; \`flotilla catalog list\` shows what there is and what it costs.
export const embed = app.function(
  { gpu: ["L4", "T4", "A10"], maxContainers: 4, timeoutMs: 10 * 60_000 },
  (text: string) => {
    // Stands for a model: put yours here.
    const letters = [...text.toLowerCase()];
    return ["a", "e", "i", "o", "u"].map((vowel) => letters.filter((one) => one === vowel).length);
  },
);

app.localEntrypoint(async () => {
  const texts = ["a fleet of ships", "one more", "the last of them"];
  for await (const vector of embed.map(texts)) console.log(JSON.stringify(vector));
});
`;

const CLASS = `import { App } from "flotilla";

const app = new App("class");

// load runs once in each container, before its first call.
export const Counter = app.cls(
  { name: "Counter", enter: { load: { snapshot: true } } },
  class {
    readonly #letters: string;
    readonly #counted = new Set<string>();

    constructor(letters: string) {
      this.#letters = letters;
    }

    load(): void {
      for (const letter of this.#letters) this.#counted.add(letter);
    }

    count(text: string): number {
      return [...text].filter((letter) => this.#counted.has(letter)).length;
    }
  },
);

app.localEntrypoint(async () => {
  const vowels = Counter.instance("aeiou");
  for await (const count of vowels.count.map(["flotilla", "rhythm"])) console.log(count);
});
`;

const PYTHON = `import { App } from "flotilla";

const app = new App("python");

export const summarise = app.function<[values: number[]], { mean: number; median: number }>({
  runtime: "python",
  source: "stats.py",
  handler: "summarise",
});

app.localEntrypoint(async () => {
  console.log(JSON.stringify(await summarise.remote([1, 2, 3, 10])));
});
`;

const PYTHON_SOURCE = `import statistics


def summarise(values):
    return {"mean": statistics.mean(values), "median": statistics.median(values)}
`;

const SANDBOX = `import { App, Sandbox } from "flotilla";

const app = new App("sandbox");

// Code that nobody has read, run where it can do no harm.
const code = "console.log([1, 2, 3].map((n) => n * n).join(' '));";

app.localEntrypoint(async () => {
  const sandbox = await Sandbox.create({ memoryMiB: 256, timeoutMs: 60_000 });
  try {
    await sandbox.files.write("/tmp/code.mjs", code);
    const program = await sandbox.exec(["node", "/tmp/code.mjs"]);
    const { exitCode, stdout } = await program.output();
    console.log(\`exit code \${exitCode}: \${stdout.trim()}\`);
  } finally {
    await sandbox.terminate();
  }
});
`;

/** The templates, the first one being the default. */
export const TEMPLATES: readonly Template[] = [
  { name: "hello", about: "one function, called once", files: { [MAIN_FILE]: HELLO } },
  { name: "gpu-map", about: "a list worked off on GPUs", files: { [MAIN_FILE]: GPU_MAP } },
  { name: "class", about: "a class that loads something once", files: { [MAIN_FILE]: CLASS } },
  {
    name: "python",
    about: "a Python function, typed in TypeScript",
    files: { [MAIN_FILE]: PYTHON, "stats.py": PYTHON_SOURCE },
  },
  { name: "sandbox", about: "code that nobody trusts, run", files: { [MAIN_FILE]: SANDBOX } },
];

/** Files that make a folder a project, beside those of a template. */
export function projectFiles(name: string, version: string): Readonly<Record<string, string>> {
  const project = {
    name,
    private: true,
    type: "module",
    dependencies: { flotilla: version },
    devDependencies: { typescript: "~6.0.3" },
  };
  const compilerOptions = {
    target: "esnext",
    module: "nodenext",
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
  };
  return {
    "package.json": `${JSON.stringify(project, undefined, 2)}\n`,
    "tsconfig.json": `${JSON.stringify({ compilerOptions }, undefined, 2)}\n`,
  };
}
