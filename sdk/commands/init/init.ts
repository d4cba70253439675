/** `flotilla init`: a folder with a small program to begin with. */
import { access, mkdir, writeFile } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { hintFor } from "../../did-you-mean.ts";
import { UsageError } from "../../errors.ts";
import { tableOf } from "../table.ts";
import { printData, printJson, printProgress } from "../terminal.ts";
import { MAIN_FILE, projectFiles, TEMPLATES, type Template } from "./templates.ts";

export interface InitOptions {
  readonly json?: boolean;
  /** Show the templates and write nothing. */
  readonly list?: boolean;
  /** The version of this package, which the project is to use. */
  readonly version: string;
}

/**
 * Writes a template to `folder`, by default one of the template's name. Files that are there
 * already are never changed: then nothing is written.
 *
 * @throws UsageError for an unknown template, or a file that is there.
 */
export async function initProject(
  name: string | undefined,
  folder: string | undefined,
  options: InitOptions,
): Promise<void> {
  if (options.list === true) {
    listTemplates(options);
    return;
  }
  const template = templateOf(name);
  const target = resolve(folder ?? template.name);
  const files = { ...template.files, ...projectFiles(packageName(target), options.version) };
  const names = Object.keys(files);
  await refuseOverwriting(target, names);
  await mkdir(target, { recursive: true });
  for (const [file, text] of Object.entries(files)) {
    await writeFile(join(target, file), text, { flag: "wx" });
  }
  if (options.json === true) {
    printJson({ template: template.name, folder: target, files: names });
    return;
  }
  printData(join(relative("", target), MAIN_FILE));
  printProgress(`Run it: flotilla run ${join(relative("", target), MAIN_FILE)}`);
}

function listTemplates({ json }: InitOptions): void {
  const templates = TEMPLATES.map(({ name, about, files }) => {
    return { name, about, files: Object.keys(files) };
  });
  if (json === true) printJson({ templates });
  else {
    printData(
      tableOf(
        ["TEMPLATE", "WHAT IT SHOWS"],
        templates.map(({ name, about }) => [name, about]),
      ),
    );
  }
}

function templateOf(name: string | undefined): Template {
  const found = name === undefined ? TEMPLATES[0] : TEMPLATES.find((each) => each.name === name);
  if (found !== undefined) return found;
  const names = TEMPLATES.map((each) => each.name);
  throw new UsageError(
    `there is no template "${name}"${hintFor(name ?? "", names)}`,
    "see what there is with `flotilla init --list`",
  );
}

async function refuseOverwriting(folder: string, names: readonly string[]): Promise<void> {
  const there: string[] = [];
  for (const name of names) {
    const isThere = await access(join(folder, name)).then(
      () => true,
      () => false,
    );
    if (isThere) there.push(name);
  }
  if (there.length === 0) return;
  throw new UsageError(
    `${folder} has ${there.join(", ")} already; nothing was written`,
    "name another folder: flotilla init TEMPLATE DIR",
  );
}

/** The folder's name as a package may be called. */
function packageName(folder: string): string {
  const name = basename(folder)
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");
  return name === "" ? "app" : name;
}
