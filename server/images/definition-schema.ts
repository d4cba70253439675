/** What the definition of an image may say: `sdk/protocol/image.ts`, checked. */
import { z } from "zod";
import {
  DEBIAN_RELEASES,
  IMAGE_STAGES_MAX,
  IMAGE_STEPS_MAX,
  IMAGE_VERSION,
  STEP_ARCHIVES_MAX,
  STEP_ENTRIES_MAX,
  STEP_TEXT_MAX,
  type ImageBase,
  type ImageDefinition,
  type ImageStep,
} from "../../sdk/protocol/index.ts";
import { secretNameSchema } from "../secrets/secret-schema.ts";

const PATH_CHARACTERS_MAX = 1_024;
/** Names, versions and selectors of Debian packages; never an option. */
const APT_PACKAGE = /^[a-z0-9][a-z0-9+.-]{1,127}(:[a-z0-9]+)?([=/][A-Za-z0-9.+~:*_-]{1,127})?$/;
const NPM_PACKAGE = /^(@[a-z0-9~][a-z0-9._~-]*\/)?[A-Za-z0-9~][A-Za-z0-9._~-]*(@[^\s\0@]{1,256})?$/;
const NAME_CHARACTERS_MAX = 1_024;

const text = z
  .string()
  .min(1)
  .max(STEP_TEXT_MAX)
  .refine((value) => !value.includes("\0"), { error: "holds a NUL character" });

const path = z
  .string()
  .max(PATH_CHARACTERS_MAX)
  .regex(/^\//, { error: 'a path of an image begins with "/"' })
  // eslint-disable-next-line no-control-regex -- that there are none is what is checked
  .refine((value) => !/[\0-\x1f]/.test(value), { error: "holds a control character" })
  .refine((value) => !value.split("/").includes(".."), { error: 'a path must not have ".."' });

/** Of a stage: from its root, whether or not it says so. */
const sourcePath = z
  .string()
  .min(1)
  .max(PATH_CHARACTERS_MAX)
  // eslint-disable-next-line no-control-regex -- that there are none is what is checked
  .refine((value) => !/[\0-\x1f]/.test(value), { error: "holds a control character" })
  .refine((value) => !value.split("/").includes(".."), { error: 'a path must not have ".."' });

const userName = z.string().regex(/^[A-Za-z0-9_][\w.-]{0,63}(:[A-Za-z0-9_][\w.-]{0,63})?$/, {
  error: "must be a user, or user:group",
});

const fileRights = {
  owner: userName.exactOptional(),
  mode: z.int().min(0).max(0o7777).exactOptional(),
};

const packages = (pattern: RegExp, what: string) =>
  z
    .array(
      z
        .string()
        .max(NAME_CHARACTERS_MAX)
        .regex(pattern, { error: `this is no ${what}` }),
    )
    .min(1)
    .max(STEP_ENTRIES_MAX);

const variables = z
  .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/), z.string().max(STEP_TEXT_MAX))
  .refine((entries) => Object.keys(entries).length <= STEP_ENTRIES_MAX, {
    error: `at most ${STEP_ENTRIES_MAX} variables`,
  })
  .refine((entries) => !Object.values(entries).some((value) => value.includes("\0")), {
    error: "a value holds a NUL character",
  });

const baseSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("debian"), release: z.enum(DEBIAN_RELEASES) }),
  z.strictObject({
    kind: z.literal("registry"),
    ref: z.string().min(1).max(512),
    secret: secretNameSchema.exactOptional(),
  }),
  z.strictObject({ kind: z.literal("scratch") }),
  z.strictObject({
    kind: z.literal("image"),
    imageId: z
      .string()
      .regex(/^[0-9a-f]{64}$/, { error: "an image is named by the 64 digits of its id" }),
  }),
]) satisfies z.ZodType<ImageBase>;

const stepSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("apt"),
    packages: packages(APT_PACKAGE, "Debian package"),
  }),
  z.strictObject({
    kind: z.literal("pip"),
    packages: packages(/^(?!-)[^\0\n\r]+$/, "Python package"),
  }),
  z.strictObject({ kind: z.literal("npm"), packages: packages(NPM_PACKAGE, "npm package") }),
  z.strictObject({
    kind: z.literal("run"),
    commands: z.array(text).min(1).max(STEP_ENTRIES_MAX),
    shell: z.array(text).min(1).max(STEP_ENTRIES_MAX).exactOptional(),
    env: variables.exactOptional(),
    user: userName.exactOptional(),
  }),
  z.strictObject({
    kind: z.literal("files"),
    target: path,
    archives: z
      .array(z.string().regex(/^[0-9a-f]{64}$/))
      .min(1)
      .max(STEP_ARCHIVES_MAX),
    ...fileRights,
  }),
  z.strictObject({
    kind: z.literal("copy"),
    stage: z
      .int()
      .min(0)
      .max(IMAGE_STAGES_MAX - 1),
    sources: z.array(sourcePath).min(1).max(STEP_ENTRIES_MAX),
    target: path,
    ...fileRights,
  }),
  z.strictObject({ kind: z.literal("env"), variables }),
  z.strictObject({ kind: z.literal("workdir"), path }),
  z.strictObject({ kind: z.literal("function"), source: text }),
]) satisfies z.ZodType<ImageStep>;

const stage = { base: baseSchema, steps: z.array(stepSchema).max(IMAGE_STEPS_MAX) };

/** Checks an `ImageDefinition`; a step it does not know is an error that names it. */
export const imageDefinitionSchema = z
  .strictObject({
    version: z.literal(IMAGE_VERSION, {
      error: `this server builds images of version ${IMAGE_VERSION}; update it, or the command line`,
    }),
    ...stage,
    stages: z.array(z.strictObject(stage)).max(IMAGE_STAGES_MAX).exactOptional(),
  })
  .refine(copiesFromBefore, {
    error: "a step copies from a stage that is not before it",
  }) satisfies z.ZodType<ImageDefinition>;

function copiesFromBefore({ steps, stages = [] }: ImageDefinition): boolean {
  return [...stages.map((one) => one.steps), steps].every((all, index) =>
    all.every((step) => step.kind !== "copy" || step.stage < index),
  );
}
