/** Extended attributes through the builder: of layers, of steps, and of what is copied. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ImageBase, ImageStage, ImageStep } from "../../../sdk/protocol/index.ts";
import { addNativeFile } from "../../runners/native-file.ts";
import type { Xattr } from "../../store/index.ts";
import { paxOf, tarOf, type TarSample } from "../oci/test-tar.ts";
import { xattrsOfRoot } from "./layer-store.ts";
import { code, FS, logOf, SCRATCH, useTestBuilder } from "./test-builder.ts";

const current = useTestBuilder();
const build: typeof current.build = (...given) => current.build(...given);
const files: typeof current.files = (...given) => current.files(...given);

/** Sets an attribute of a file, and prints 0 or how that failed. */
const SETS_ATTRIBUTES = `
#include <errno.h>
#include <stdio.h>
#include <sys/xattr.h>
int main(int count, char **given) {
  if (count < 3) return 1;
  printf("%d", setxattr(given[1], given[2], "value", 5, 0) == 0 ? 0 : errno);
  return 0;
}
`;
const asText = ({ name, value }: Xattr): string => `${name}=${Buffer.from(value).toString()}`;

test("extended attributes of programs come from layers to the root, whatever is built on them", async () => {
  const pax = (name: string, value: string): TarSample =>
    paxOf({ [`SCHILY.xattr.${name}`]: value });
  const folder = (name: string): TarSample => ({ name, flag: "5", mode: 0o755 });
  const lower = ["kept", "changed", "removed", "second"].flatMap((name) => [
    pax("user.from", "lower"),
    { name: `srv/${name}`, content: name },
  ]);
  current.registry.add("attributes", {
    layers: [
      tarOf([pax("user.kind", "folder"), folder("srv"), ...lower]),
      tarOf([pax("security.capability", "rights"), { name: "srv/second", content: "again" }]),
    ],
  });
  const built = await build(
    [
      files("/srv", [pax("user.from", "files"), { name: "added", content: "added" }]),
      code(`${FS} fs.rmSync("/srv/removed"); fs.writeFileSync("/srv/new", "new");
        fs.appendFileSync("/srv/changed", "!"); fs.mkdirSync("/srv/removed");`),
    ],
    { kind: "registry", ref: `${current.registry.host}/org/name:attributes` },
  );
  const found = [...xattrsOfRoot(built.root)].map(([path, all]) => [path, all.map(asText).join()]);
  expect(Object.fromEntries(found)).toEqual({
    srv: "user.kind=folder",
    "srv/kept": "user.from=lower",
    "srv/added": "user.from=files",
  });
  expect(logOf(built)).toContainEqual(expect.stringMatching(/^1 extended attribute is left out/));
  await current.builder.store.removeRoot(built.root.split("/").at(-1) ?? "");
  expect(xattrsOfRoot(built.root).size).toBe(0);
});

test("those that a step sets are kept where gVisor lets it, and files copied from it have them", async (context) => {
  const [name, source] = ["set-attributes", join(current.dir, "set-attributes.c")];
  writeFileSync(source, SETS_ATTRIBUTES);
  if (!(await addNativeFile({ name, source, flags: ["-static"] }, current.dir))) {
    context.skip("there is no C compiler to make a program for an image with nothing in it");
  }
  const stage: ImageStage = {
    base: SCRATCH,
    steps: [
      files("/bin", [{ name: "set", content: readFileSync(join(current.dir, name)), mode: 0o755 }]),
      code(`${FS} fs.mkdirSync("/out"); fs.writeFileSync("/out/file", "x");
        const { execFileSync } = await import("node:child_process");
        for (const name of ["user.set", "security.capability", "trusted.no"]) {
          console.log(name, String(execFileSync("/bin/set", ["/out/file", name])));
        }`),
    ],
  };
  const copy: ImageStep = { kind: "copy", stage: 0, sources: ["/out"], target: "/srv" };
  const built = await build([copy], SCRATCH, [stage]);
  const told = Object.fromEntries(
    logOf(built).flatMap((line) => (/^\S+\.\w+ \d+/.test(line) ? [line.split(" ")] : [])),
  ) as Readonly<Record<string, string>>;
  // What steps and containers have no rights to set means something to a kernel.
  expect(told).toMatchObject({ "security.capability": "95", "trusted.no": "95" });
  const kept = told["user.set"] === "0" ? [["srv/file", ["user.set"]]] : [];
  const found = [...xattrsOfRoot(built.root)].map(([path, all]) => [
    path,
    all.map(({ name }) => name),
  ]);
  expect(found).toEqual(kept);
  if (told["user.set"] !== "0") expect(told["user.set"]).toBe("95");
});

test("have the extended attributes that their layers gave them, wherever links lead", async () => {
  const noted = (value: string): TarSample => paxOf({ "SCHILY.xattr.user.from": value });
  current.registry.add("v1", {
    layers: [
      tarOf([
        ...[noted("folder"), { name: "srv/in", flag: "5", mode: 0o755 }],
        ...[noted("file"), { name: "srv/in/kept", content: "x" }],
        ...[noted("old"), { name: "srv/in/replaced", content: "x" }],
        { name: "srv/in/same", flag: "1", linkName: "srv/in/kept" },
        { name: "by", flag: "2", linkName: "srv" },
      ]),
      tarOf([{ name: "srv/in/replaced", content: "y" }]),
    ],
  });
  const base: ImageBase = { kind: "registry", ref: `${current.registry.host}/org/name:v1` };
  const { root } = await build(
    [
      files("/", [
        { name: "usr/place/", flag: "5", mode: 0o755 },
        { name: "way", flag: "2", linkName: "/usr/place" },
      ]),
      { kind: "copy", stage: 0, sources: ["/by/*"], target: "/way" },
      { kind: "copy", stage: 0, sources: ["/by/in/kept"], target: "/one" },
    ],
    SCRATCH,
    [{ base, steps: [] }],
  );
  const found = [...xattrsOfRoot(root)].map(([path, all]) => [path, all.map(asText).join()]);
  expect(Object.fromEntries(found)).toEqual({
    one: "user.from=file",
    "usr/place/kept": "user.from=file",
    "usr/place/same": "user.from=file",
  });
});
