import { describe, expect, test } from "vitest";
import { UsageError } from "../../../errors.ts";
import { parseDockerfile, type DockerfileOptions } from "./parse.ts";

const parse = (text: string, options: Partial<DockerfileOptions> = {}) =>
  parseDockerfile(text, { file: "Dockerfile", ...options });
const stepsOf = (text: string, options: Partial<DockerfileOptions> = {}) =>
  parse(text, options).stages.at(-1)?.steps ?? [];
const SHELL = ["/bin/sh", "-c"];

test("a whole file becomes a base and steps", () => {
  const { stages, target, notices } = parse(`# syntax=docker/dockerfile:1
ARG VERSION=3.12
FROM python:\${VERSION}-slim AS Build

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
  expect(target).toBe(0);
  expect(stages).toMatchObject([{ line: 3, name: "build", from: "python:3.12-slim" }]);
  const copy = { kind: "copy", texts: [] };
  expect(stages[0]?.steps).toEqual([
    { kind: "env", variables: { APP: "/srv/app", DEBUG: "yes please" } },
    { kind: "workdir", path: "/srv/app" },
    {
      kind: "run",
      commands: ["apt-get update      && apt-get install -y jq"],
      shell: SHELL,
      env: { TOKEN: "its" },
    },
    { ...copy, line: 11, sources: ["requirements.txt"], target: "/srv/app/" },
    { ...copy, line: 12, sources: ["my file", "src"], target: "/srv/" },
    {
      kind: "run",
      commands: [`'python' '-c' 'print('\\''hi'\\'')'`],
      shell: SHELL,
      env: { TOKEN: "its" },
      user: "nobody",
    },
  ]);
  expect(notices).toEqual([
    expect.stringMatching(/^Dockerfile:13: USER nobody holds for the RUN after it/),
    expect.stringMatching(/^Dockerfile:14: CMD is passed over/),
  ]);
});

describe("stages", () => {
  const text = `FROM node:24 AS base
ENV A=1
WORKDIR /srv
USER node
SHELL ["/bin/bash", "-c"]
FROM --platform=$BUILDPLATFORM base AS build
RUN make $A
FROM scratch
COPY --from=build --chown=1000:1000 --chmod=0755 --link /srv/out /bin/out
COPY --from=0 a b/
COPY --from=registry.example/tools:1 /usr/bin/tool /bin/
`;

  test("begin from others with all that these have set, and are copied from", () => {
    const { stages, target } = parse(text);
    expect(target).toBe(2);
    expect(stages.map(({ from }) => from)).toEqual(["node:24", 0, "scratch"]);
    expect(stages[1]?.steps).toEqual([
      { kind: "run", commands: ["make $A"], shell: ["/bin/bash", "-c"], user: "node" },
    ]);
    expect(stages[2]?.steps).toMatchObject([
      { from: { kind: "stage", stage: 1 }, owner: "1000:1000", mode: 0o755, target: "/bin/out" },
      { from: { kind: "stage", stage: 0 }, sources: ["a"], target: "/b/" },
      { from: { kind: "image", ref: "registry.example/tools:1" }, target: "/bin/" },
    ]);
  });

  test("are made by name or number where one is asked for", () => {
    expect(parse(text, { target: "BUILD" }).target).toBe(1);
    expect(parse(text, { target: "0" }).target).toBe(0);
    expect(() => parse(text, { target: "none" })).toThrow(/Dockerfile has no stage none/);
  });
});

describe("arguments", () => {
  test("before FROM hold in a stage that names them again, and have given values", () => {
    const text = "ARG V=1\nARG W=2\nFROM a:$V\nARG V\nRUN x\nARG W=3 X\nRUN y";
    const envs = (options: Partial<DockerfileOptions> = {}) =>
      stepsOf(text, options).map((step) => (step.kind === "run" ? step.env : undefined));
    expect(envs()).toEqual([{ V: "1" }, { V: "1", W: "3" }]);
    expect(envs({ args: { W: "9", X: "" } })).toEqual([{ V: "1" }, { V: "1", W: "9", X: "" }]);
    expect(parse(text, { args: { V: "7" } }).stages[0]?.from).toBe("a:7");
    expect(() => parse(text, { args: { Y: "1" } })).toThrow(/no ARG Y, which args gives/);
  });

  test("are not those of another stage, and lose to the environment", () => {
    const text = "FROM a\nARG A=1\nENV A=2\nRUN x\nFROM b\nRUN echo $A";
    const { stages } = parse(text);
    expect(stages[0]?.steps.at(-1)).toEqual({ kind: "run", commands: ["x"], shell: SHELL });
    expect(stages[1]?.steps).toEqual([{ kind: "run", commands: ["echo $A"], shell: SHELL }]);
  });
});

test("variables are expanded as Docker does, the environment before arguments", () => {
  const expanded = (value: string): unknown =>
    stepsOf(
      ["FROM a", "ARG A=arg", "ARG ONLY=arg", "ENV A=env EMPTY=", `ENV V=${value}`].join("\n"),
    )[1];
  for (const [value, result] of [
    ["$A", "env"],
    ["${A}b", "envb"],
    ["${ONLY}", "arg"],
    ["${NONE:-other}", "other"],
    ["${EMPTY:-other}", "other"],
    ["${EMPTY-other}", ""],
    ["${NONE-other}", "other"],
    ["${A:-other}", "env"],
    ["${A:+set}", "set"],
    ["${NONE:+set}", ""],
    ["$NONE.", "."],
    ["\\$A", "$A"],
    ["'$A'", "$A"],
    ['"$A \\$A \\n"', "env $A \\n"],
    ["a\\ b", "a b"],
  ] as const) {
    expect(expanded(value)).toEqual({ kind: "env", variables: { V: result } });
  }
});

test("the old form of ENV takes the rest of its line", () => {
  expect(stepsOf("FROM a\nENV A b c")).toEqual([{ kind: "env", variables: { A: "b c" } }]);
  expect(stepsOf("FROM a\nENV A b=c")).toEqual([{ kind: "env", variables: { A: "b=c" } }]);
});

describe("here-documents", () => {
  const commandOf = (text: string): unknown => {
    const [step] = stepsOf(`FROM a\n${text}`);
    return step?.kind === "run" ? step.commands[0] : undefined;
  };

  test("are the script of a RUN that has nothing else", () => {
    expect(commandOf("RUN <<EOF\none\n# no comment\n  two $A\nEOF\nRUN x")).toBe(
      "one\n# no comment\n  two $A\n",
    );
    expect(commandOf("RUN <<-'E.1'\n\tone\n\tE.1")).toBe("one\n");
    expect(commandOf("RUN <<X\n#!/usr/bin/python3\nprint('x')\nX")).toMatch(
      /^printf %s '#!\/usr\/bin\/python3\nprint\('\\''x'\\''\)\n' > \/tmp\/\S+ && chmod/,
    );
  });

  test("are given to the shell with the command that reads them", () => {
    expect(commandOf("RUN cat <<A <<B > x\n1\nA\n2\nB\nRUN y")).toBe(
      "cat <<A <<B > x\n1\nA\n2\nB\n",
    );
    expect(commandOf("RUN echo $((1<<2))")).toBe("echo $((1<<2))");
  });

  test("are files for COPY, with variables unless their name is in quotes", () => {
    const text = 'FROM a\nENV A=1\nCOPY <<x.conf <<"y" other /etc/\na=$A \\$A \\n\nx.conf\n$A\ny\n';
    expect(stepsOf(text)[1]).toMatchObject({
      line: 3,
      sources: ["other"],
      texts: [
        { name: "x.conf", text: "a=1 $A \\n\n" },
        { name: "y", text: "$A\n" },
      ],
      target: "/etc/",
    });
  });
});

test("a cache of RUN is passed over with a notice", () => {
  const { notices } = parse("FROM a\nRUN --mount=type=cache,target=/c --network=default make");
  expect(notices).toEqual([expect.stringMatching(/^Dockerfile:2: .*cache is passed over/)]);
});

describe("what is not supported is an error with its line", () => {
  test.each<[string, RegExp]>([
    ["", /Dockerfile has no FROM/],
    ["RUN true", /Dockerfile:1: RUN comes before FROM/],
    ["FROM --platform=x a", /Dockerfile:1: FROM --platform=x is not supported/],
    ["FROM a b", /Dockerfile:1: FROM takes one image/],
    ["FROM $NONE", /Dockerfile:1: FROM \$NONE names no image/],
    ["FROM a AS x\nFROM b AS X", /Dockerfile:2: there is a stage X already/],
    ["FROM a AS x\nCOPY --from=x /x /y", /Dockerfile:2: --from=x is this stage itself/],
    ["FROM a\nFROM b\nCOPY --from=2 /x /y", /Dockerfile:3: --from=2 is no earlier stage/],
    ["FROM a\nADD --from=b /x /y", /Dockerfile:2: ADD --from is not supported/],
    ["FROM a\nCOPY --parents x y", /Dockerfile:2: COPY --parents is not supported/],
    ["FROM a\nCOPY --chmod=u+x x y", /Dockerfile:2: COPY --chmod=u\+x is not supported: .*octal/],
    ["FROM a\nCOPY x", /Dockerfile:2: COPY takes what to copy and where to/],
    ["FROM a\nADD https://x/y /z", /Dockerfile:2: ADD of https:\/\/x\/y is not supported/],
    ["FROM a\nADD x.tar.gz /z", /Dockerfile:2: ADD does not unpack/],
    ["FROM a\nRUN --mount=type=secret,id=x y", /Dockerfile:2: RUN --mount=type=secret,id=x is/],
    ["FROM a\nRUN --network=none y", /Dockerfile:2: RUN --network=none is not supported/],
    ["FROM a\n\nRUN <<EOF\ntrue\n", /Dockerfile:3: the here-document EOF has no end/],
    ["FROM a\nRUN", /Dockerfile:2: RUN has no command/],
    ["FROM a\nVOLUME /x", /Dockerfile:2: VOLUME is not supported/],
    ["FROM a\nONBUILD RUN x", /Dockerfile:2: ONBUILD is not supported/],
    ["FROM a\nSHELL /bin/bash", /Dockerfile:2: SHELL takes a list/],
    ["FROM a\nUSER a b", /Dockerfile:2: USER takes a user/],
    ["FROM a\nARG TARGETARCH", /Dockerfile:2: ARG TARGETARCH has no value here/],
    ["FROM a\nARG", /Dockerfile:2: ARG has no name/],
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
