/**
 * Finds code that is written twice: equal runs of tokens in two places.
 *
 * Every file is cut into tokens by TypeScript's own scanner (comments, layout and import
 * lines do not count). Windows of `WINDOW_TOKENS` tokens that occur twice are joined to the
 * longest equal runs; a run is reported when it is at least `WINDOW_TOKENS` long. Linear in
 * the number of tokens. Test files are left out: a test may repeat itself to be read alone.
 *
 *     node scripts/find-duplicates.ts [FOLDER]     exits with 1 when it finds any
 */
import { globSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import ts from "typescript";
import { ROOT } from "./steps.ts";

/** About fifteen lines: shorter repeats are idiom, not duplication. */
const WINDOW_TOKENS = 100;

interface Token {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

interface Duplicate {
  readonly first: Token;
  readonly second: Token;
  readonly tokens: number;
}

const folder = resolve(process.argv[2] ?? ROOT);
const duplicates = findDuplicates(sourceFiles(folder).map((file) => tokensOf(folder, file)));
for (const { first, second, tokens } of duplicates) {
  console.log(
    `${first.file}:${first.line} and ${second.file}:${second.line}: ${tokens} equal tokens`,
  );
}
if (duplicates.length > 0) process.exitCode = 1;

function sourceFiles(top: string): readonly string[] {
  return globSync("**/*.{ts,mjs}", {
    cwd: top,
    exclude: (path) => /(^|\/)(node_modules|dist|coverage|\.git)$|\.test\.ts$|\.d\.ts$/.test(path),
  }).sort();
}

function tokensOf(top: string, file: string): readonly Token[] {
  const source = ts.createSourceFile(
    file,
    readFileSync(resolve(top, file), "utf8"),
    ts.ScriptTarget.Latest,
    true,
  );
  const tokens: Token[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return;
    const children = node.getChildren(source);
    for (const child of children) visit(child);
    if (children.length > 0 || node.getWidth(source) === 0 || ts.isJSDoc(node)) return;
    const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
    tokens.push({ file, line: line + 1, text: node.getText(source) });
  };
  visit(source);
  return tokens;
}

function findDuplicates(files: readonly (readonly Token[])[]): readonly Duplicate[] {
  const seen = new Map<number, { readonly tokens: readonly Token[]; readonly at: number }>();
  const found: Duplicate[] = [];
  for (const tokens of files) {
    const hashes = windowHashes(tokens);
    for (let at = 0; at < hashes.length; at += 1) {
      const hash = hashes[at] ?? 0;
      const earlier = seen.get(hash);
      if (earlier === undefined) {
        seen.set(hash, { tokens, at });
        continue;
      }
      const length = equalRun(earlier.tokens, earlier.at, tokens, at);
      const first = earlier.tokens[earlier.at];
      const second = tokens[at];
      if (first === undefined || second === undefined || length < WINDOW_TOKENS) continue;
      found.push({ first, second, tokens: length });
      at += length - 1;
    }
  }
  return found;
}

/**
 * One 32-bit hash for each window, in order: `h = sum(code[i] * B^(W-1-i)) mod 2^32`, rolled
 * from one window to the next. Equal windows have equal hashes; `equalRun` settles the rest.
 */
function windowHashes(tokens: readonly Token[]): readonly number[] {
  const base = 0x01000193;
  let dropFactor = 1;
  for (let step = 0; step < WINDOW_TOKENS; step += 1) dropFactor = Math.imul(dropFactor, base);
  const codes = tokens.map((token) => codeOf(token.text));
  const hashes: number[] = [];
  let hash = 0;
  for (const [index, code] of codes.entries()) {
    hash = (Math.imul(hash, base) + code) | 0;
    const dropped = codes[index - WINDOW_TOKENS];
    if (dropped !== undefined) hash = (hash - Math.imul(dropped, dropFactor)) | 0;
    if (index + 1 >= WINDOW_TOKENS) hashes.push(hash);
  }
  return hashes;
}

/** FNV-1a of a token's text. */
function codeOf(text: string): number {
  let code = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    code = Math.imul(code ^ text.charCodeAt(index), 0x01000193);
  }
  return code;
}

/** How many tokens are equal from the two places on; a run within one file may not overlap. */
function equalRun(
  left: readonly Token[],
  leftAt: number,
  right: readonly Token[],
  rightAt: number,
): number {
  const limit = left === right ? rightAt - leftAt : Infinity;
  let length = 0;
  while (length < limit && right[rightAt + length] !== undefined) {
    if (left[leftAt + length]?.text !== right[rightAt + length]?.text) break;
    length += 1;
  }
  return length;
}
