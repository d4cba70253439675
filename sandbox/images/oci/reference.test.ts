import { expect, test } from "vitest";
import { parseReference } from "./reference.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const HUB = "registry-1.docker.io";

test.each([
  ["python", HUB, "library/python", "latest", "https"],
  ["python:3.12-slim", HUB, "library/python", "3.12-slim", "https"],
  ["docker.io/python", HUB, "library/python", "latest", "https"],
  ["org/name:v1", HUB, "org/name", "v1", "https"],
  ["ghcr.io/org/name", "ghcr.io", "org/name", "latest", "https"],
  ["GHCR.io/org/name", "ghcr.io", "org/name", "latest", "https"],
  ["r.example.com:5000/a/b/c:t", "r.example.com:5000", "a/b/c", "t", "https"],
  [`name:tag@${DIGEST}`, HUB, "library/name", DIGEST, "https"],
  ["localhost/name", "localhost", "name", "latest", "http"],
  ["127.0.0.1:5000/name", "127.0.0.1:5000", "name", "latest", "http"],
] as const)("%s", (text, registry, repository, target, scheme) => {
  expect(parseReference(text)).toEqual({ registry, repository, target, scheme });
});

test.each([
  "",
  "A",
  "a b",
  "../a",
  "a/../b",
  "a//b",
  "a:",
  "a@sha256:abc",
  "a@md5:abc",
  `a@${DIGEST}@${DIGEST}`,
  "host.com/",
  "ho st.com/a",
  "user:pass@host.com/a",
  "http://host.com/a",
])("%j is refused", (text) => {
  expect(() => parseReference(text)).toThrow(/is no image of a registry/);
});
