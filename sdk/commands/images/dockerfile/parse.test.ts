import { describe, expect, test } from "vitest";
import { UsageError } from "../../errors.ts";
import { parseDockerfile } from "./dockerfile.ts";

const parse = (text: string) => parseDockerfile(text, "Dockerfile");

test("a whole file becomes a base and steps", () => {
  const parsed = parse(`# syntax=docker/dockerfile:1
ARG VERSION=3.12
FROM python:\${VERSION}-slim AS build

ENV APP=/srv/app DEBUG="yes please"
WORKDIR $APP
ARG TOKEN='it''s'
RUN apt-get update \\
    # a comment in between
    && apt-get install -y jq
COPY requirements.txt ./
COPY ["my file", "src", "/srv/"]
USER nobody
CMD ["python", "app.py"]
RUN ["python", "-c", "print('hi')"]
`);
  expect(parsed.from).toBe("python:3.12-slim");
  expect(parsed.steps).toEqual([
    { kind: "env", variables: { APP: "/srv/app", DEBUG: "yes please" } },
    { kind: "workdir", path: "/srv/app" },
    {
      kind: "run",
      commands: ["export TOKEN='its'; apt-get update      && apt-get install -y jq"],
    },
    { kind: "copy", line: 11, sources: ["requirements.txt"], target: "/srv/app/" },
    { kind: "copy", line: 12, sources: ["my file", "src"], target: "/srv/" },
    { kind: "run", commands: [`export TOKEN='its'; 'python' '-c' 'print('\\''hi'\\'')'`] },
  ]);
  expect(parsed.notices).toEqual([
    expect.stringMatching(/^Dockerfile:13: USER is passed over/),
    expect.stringMatching(/^Dockerfile:14: CMD is passed over/),
  ]);
});

test("variables are expanded as Docker does, the environment before arguments", () => {
  const expanded = (value: string): unknown =>
    parse(["FROM a", "ARG A=arg", "ARG ONLY=arg", "ENV A=env", `ENV V=${value}`].join("\n"))
      .steps[1];
  for (const [value, result] of [
    ["$A", "env"],
    ["${A}b", "envb"],
    ["${ONLY}", "arg"],
    ["${NONE:-other}", "other"],
    ["${A:-other}", "env"],
    ["${A:+set}", "set"],
    ["${NONE:+set}", ""],
    ["$NONE.", "."],
  ] as const) {
    expect(expanded(value)).toEqual({ kind: "env", variables: { V: result } });
  }
});

test("the old form of ENV takes the rest of its line", () => {
  expect(parse("FROM a\nENV A b c").steps).toEqual([{ kind: "env", variables: { A: "b c" } }]);
});

describe("what is not supported is an error with its line", () => {
  test.each<[string, RegExp]>([
    ["", /Dockerfile has no FROM/],
    ["RUN true", /Dockerfile:1: RUN comes before FROM/],
    ["FROM a\nFROM b", /Dockerfile:2: a second FROM: several stages/],
    ["FROM --platform=x a", /Dockerfile:1: FROM --platform=x is not supported/],
    ["FROM a b", /Dockerfile:1: FROM takes one image/],
    ["FROM a\n\nCOPY --from=b /x /y", /Dockerfile:3: COPY --from=b is not supported/],
    ["FROM a\nCOPY --chown=me x y", /Dockerfile:2: COPY --chown=me is not supported/],
    ["FROM a\nCOPY x", /Dockerfile:2: COPY takes what to copy and where to/],
    ["FROM a\nADD https://x/y /z", /Dockerfile:2: ADD of https:\/\/x\/y is not supported/],
    ["FROM a\nADD x.tar.gz /z", /Dockerfile:2: ADD does not unpack/],
    ["FROM a\nRUN --mount=type=cache x", /Dockerfile:2: RUN --mount=type=cache is not supported/],
    ["FROM a\nRUN <<EOF\ntrue\nEOF", /Dockerfile:2: RUN with a here-document/],
    ["FROM a\nRUN", /Dockerfile:2: RUN has no command/],
    ["FROM a\nVOLUME /x", /Dockerfile:2: VOLUME is not supported/],
    ['FROM a\nSHELL ["x"]', /Dockerfile:2: SHELL is not supported/],
    ["FROM a\nRNU x", /Dockerfile:2: there is no instruction RNU: did you mean "RUN"/],
    ["FROM a\nENV A", /Dockerfile:2: ENV takes NAME=value/],
    ['FROM a\nENV A="b', /Dockerfile:2: a " is not closed/],
    ["FROM a\nENV A=${b!c}", /Dockerfile:2: \$\{b!c\} is no variable/],
    ["FROM a\nRUN [x]", /Dockerfile:2: \[x\] is no list/],
    ["FROM a\nRUN x \\", /Dockerfile:2: the last line is continued/],
    ["# escape=`\nFROM a", /Dockerfile:1: only "\\" continues/],
  ])("%j", (text, message) => {
    expect(() => parse(text)).toThrow(message);
    expect(() => parse(text)).toThrow(UsageError);
  });
});
