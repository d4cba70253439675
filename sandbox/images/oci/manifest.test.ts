import { describe, expect, test } from "vitest";
import { parseImageConfig, parseManifest } from "./manifest.ts";

const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const descriptor = {
  mediaType: "application/vnd.oci.image.config.v1+json",
  digest: digest("c"),
  size: 2,
};
const layer = (mediaType: string) => ({ mediaType, digest: digest("d"), size: 9 });
const manifest = (changes: object = {}) => ({
  schemaVersion: 2,
  config: descriptor,
  layers: [layer("application/vnd.oci.image.layer.v1.tar+gzip")],
  ...changes,
});
const parse = (value: unknown) => parseManifest(bytes(value), "amd64", "x");

test("an index leads to the manifest of the platform", () => {
  const entry = (os: string, architecture: string, letter: string) => ({
    digest: digest(letter),
    platform: { os, architecture },
  });
  const manifests = [
    entry("windows", "amd64", "1"),
    entry("linux", "arm64", "2"),
    entry("linux", "amd64", "3"),
  ];
  expect(parse({ schemaVersion: 2, manifests })).toEqual({ kind: "index", digest: digest("3") });
  expect(() => parse({ schemaVersion: 2, manifests: manifests.slice(0, 2) })).toThrow(
    /nothing for linux\/amd64; it has windows\/amd64, linux\/arm64/,
  );
});

test("a manifest gives its layers in order, of all kinds that can be unpacked", () => {
  const layers = [
    layer("application/vnd.oci.image.layer.v1.tar"),
    layer("application/vnd.oci.image.layer.v1.tar+zstd"),
    layer("application/vnd.docker.image.rootfs.diff.tar.gzip"),
  ];
  expect(parse(manifest({ layers }))).toMatchObject({
    kind: "manifest",
    config: { digest: digest("c"), byteCount: 2 },
    layers: layers.map(({ mediaType }) => ({ mediaType, digest: digest("d"), byteCount: 9 })),
  });
});

describe("what no registry should say is refused", () => {
  test.each<[string, unknown, RegExp]>([
    ["no object", [], /strange form/],
    ["the first version", { schemaVersion: 1 }, /before 2016/],
    ["no layers", manifest({ layers: undefined }), /without its lists/],
    [
      "too many layers",
      manifest({
        layers: Array.from({ length: 513 }, () => layer("application/vnd.oci.image.layer.v1.tar")),
      }),
      /more than 512/,
    ],
    [
      "an artifact",
      manifest({ layers: [layer("application/vnd.in-toto+json")] }),
      /cannot be unpacked/,
    ],
    [
      "a digest that is a path",
      manifest({ config: { ...descriptor, digest: "../../x" } }),
      /without its digest/,
    ],
    ["a negative size", manifest({ config: { ...descriptor, size: -1 } }), /without its digest/],
    [
      "a size that is a text",
      manifest({ config: { ...descriptor, size: "9" } }),
      /without its digest/,
    ],
    ["no config", manifest({ config: undefined }), /strange form/],
  ])("%s", (_, value, message) => {
    expect(() => parse(value)).toThrow(message);
  });
  test("no JSON", () => {
    expect(() => parseManifest(new Uint8Array([0xff, 0xfe]), "amd64", "x")).toThrow(/is no JSON/);
    expect(() => parseManifest(new TextEncoder().encode("{"), "amd64", "x")).toThrow(/is no JSON/);
  });
});

test("a configuration gives what processes see; the rest is left out", () => {
  const config = {
    Env: ["PATH=/bin", "A=b=c", "EMPTY=", "bad name=x", 7],
    WorkingDir: "/srv",
    Cmd: ["x"],
  };
  expect(parseImageConfig(bytes({ config }))).toEqual({
    env: { PATH: "/bin", A: "b=c", EMPTY: "" },
    workdir: "/srv",
  });
  for (const strange of [{}, { config: null }, { config: { Env: 1, WorkingDir: "relative" } }]) {
    expect(parseImageConfig(bytes(strange))).toEqual({ env: {}, workdir: "/" });
  }
  const hostile = parseImageConfig(bytes({ config: { Env: ["__proto__=x"] } }));
  expect(Object.getPrototypeOf(hostile.env)).toBe(Object.prototype);
});
