/**
 * Who may import whom, as data (docs/architecture.md draws it). A new arrow is a decision:
 * add a page to docs/decisions/ with it.
 */

/** Folder -> the folders it may import. `sdk/protocol` is the wire, not the SDK. */
const ARROWS = {
  core: [],
  documents: ["core"],
  optimizer: ["core"],
  scheduler: ["core"],
  providers: ["core"],
  sandbox: ["core", "sdk/protocol"],
  pool: ["core", "optimizer", "providers"],
  sdk: [],
  simulations: ["core", "documents", "optimizer", "scheduler", "pool", "providers"],
  server: [
    ...["core", "documents", "optimizer", "scheduler", "providers", "sandbox", "pool"],
    "sdk/protocol",
  ],
};

/** Commands that start simulations; nobody else imports them. */
const STARTS_SIMULATIONS = "^server/commands/(simulate|tune)/";

/** Files that other folders may import, besides every folder's `index.ts`. */
const EXTRA_DOORS = [
  "sdk/protocol/index.ts",
  "providers/registry.ts",
  "providers/prices/index.ts",
  "providers/fake/index.ts",
  "providers/emulators/[^/]+/index.ts",
];

const FOLDERS = Object.keys(ARROWS);
/** Folders that start or watch the others; nobody imports them. */
const OUTER = ["simulations", "server", "tests", "scripts", "benchmarks", "examples"];
const any = (names) => `^(${names.join("|")})/`;

const arrowRules = Object.entries(ARROWS).map(([folder, allowed]) => ({
  name: `arrows-of-${folder}`,
  comment: `${folder} may import ${allowed.length === 0 ? "no other folder" : allowed.join(", ")}`,
  severity: "error",
  from: { path: `^${folder}/` },
  to: {
    path: any([...FOLDERS, ...OUTER]),
    pathNot: any([folder, ...allowed, ...(folder === "server" ? ["simulations"] : [])]),
  },
}));

const doorRules = FOLDERS.map((folder) => ({
  name: `front-door-of-${folder}`,
  comment: `other folders import ${folder} through its index.ts only`,
  severity: "error",
  from: {
    path: any([...FOLDERS, "examples"]),
    pathNot: `^${folder}/`,
  },
  to: {
    path: `^${folder}/`,
    pathNot: `^(${[`${folder}/index\\.ts`, ...EXTRA_DOORS].join("|")})$`,
  },
}));

module.exports = {
  forbidden: [
    ...arrowRules,
    ...doorRules,
    {
      name: "who-starts-simulations",
      comment: "only the commands simulate and tune start simulations",
      severity: "error",
      from: { path: "^server/", pathNot: STARTS_SIMULATIONS },
      to: { path: "^simulations/" },
    },
    {
      name: "no-cycles",
      comment: "a file must be readable without the files that use it",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "resolvable",
      comment: "an import must lead somewhere",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "sdk-library-has-no-dependencies",
      comment: "importing flotilla pulls in nothing; only its commands have dependencies",
      severity: "error",
      from: { path: "^sdk/", pathNot: "^sdk/(commands|bin)/|\\.test\\.ts$" },
      to: { dependencyTypes: ["npm", "npm-dev", "npm-optional", "npm-peer", "npm-no-pkg"] },
    },
  ],
  options: {
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    // Outside the folders are only configuration files.
    exclude: { path: ["(^|/)dist/", "^[^/]+\\.(js|ts|cjs|mjs|json)$"] },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["flotilla-source", "import", "node", "default"],
    },
  },
};
