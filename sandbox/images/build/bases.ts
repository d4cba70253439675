/** What images begin with: found, named by its content, and made when it is not there yet. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { rm } from "node:fs/promises";
import type { Clock } from "../../../core/index.ts";
import type { DebianRelease, ImageBase } from "../../../sdk/protocol/index.ts";
import { applyTar } from "../oci/apply-tar.ts";
import { wrongImage } from "../oci/image-error.ts";
import { parseReference } from "../oci/reference.ts";
import { registryLoginOf } from "../oci/registry-login.ts";
import { RegistryClient } from "../oci/registry-client.ts";
import { debianSources, makeDebianBase, sourcesText } from "./debian-base.ts";
import type { HostIndexes } from "./host-indexes.ts";
import type { BaseIdentity, StepSurroundings } from "./layer-plan.ts";
import { LayerXattrs, XATTRS_FILE } from "./layer-xattrs.ts";
import type { StepRunner } from "./run-step.ts";
import type { Follower } from "./shared-work.ts";

/** A base that is known, and how to make it in `<work>`, as layers are kept there. */
export interface OpenedBase extends BaseIdentity {
  make(making: Follower & { readonly work: string; readonly runner: StepRunner }): Promise<void>;
}

export interface BaseSurroundings {
  readonly clock: Pick<Clock, "nowMs" | "sleep">;
  readonly indexes: HostIndexes;
  readonly signal: AbortSignal;
  readonly secretValues?: SecretValuesOf;
  readonly builtImage?: BuiltImageOf;
}

/** An image that was built before, as another one begins with it. */
export interface BaseImage extends StepSurroundings {
  /** Its layers, the base first. */
  readonly layers: NonNullable<BaseIdentity["layers"]>;
}

/** Gives an image by its id. @throws PlatformError when there is none */
export type BuiltImageOf = (imageId: string) => Promise<BaseImage>;

/** Gives the values of a secret by its name. @throws PlatformError when there is none */
export type SecretValuesOf = (secret: string) => Promise<Readonly<Record<string, string>>>;

/** As registries call them. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };
const NO_CONFIG = { env: {}, workdir: "/" };

/** Finds a base; of a registry's tag, what it is now. @throws PlatformError */
export async function openBase(base: ImageBase, around: BaseSurroundings): Promise<OpenedBase> {
  switch (base.kind) {
    case "debian":
      if (canMakeDebian()) return debianBase(base.release, around);
      return registryBase({ ref: `debian:${base.release}-slim` }, around);
    case "registry":
      return registryBase(base, around);
    case "image":
      return imageBase(base.imageId, around);
    case "scratch":
      return {
        identity: ["scratch"],
        words: "an empty image",
        config: NO_CONFIG,
        make: () => Promise.resolve(),
      };
  }
}

async function imageBase(imageId: string, { builtImage }: BaseSurroundings): Promise<OpenedBase> {
  if (builtImage === undefined) throw wrongImage(`there are no built images here: ${imageId}`);
  const { layers, env, workdir } = await builtImage(imageId);
  const shortId = imageId.slice(0, 12);
  return {
    identity: ["image", imageId],
    words: `the image ${shortId}`,
    config: { env, workdir },
    layers,
    make: () => {
      const where = `the layers of image ${shortId} are not on this machine`;
      throw wrongImage(`${where}, so nothing can be built on it; make it again first`);
    },
  };
}

function debianBase(release: DebianRelease, { indexes }: BaseSurroundings): OpenedBase {
  const sources = sourcesText(debianSources(release, indexes.apt));
  return {
    identity: ["debian", release, sources, process.arch],
    words: `Debian ${release}`,
    config: NO_CONFIG,
    make: (making) => makeDebianBase({ ...making, release, indexes }),
  };
}

async function registryBase(
  { ref, secret }: Pick<Extract<ImageBase, { readonly kind: "registry" }>, "ref" | "secret">,
  around: BaseSurroundings,
): Promise<OpenedBase> {
  const { indexes, clock, signal, secretValues } = around;
  const reference = parseReference(ref);
  const values = secret === undefined ? undefined : await secretValues?.(secret);
  const login = values && registryLoginOf(values, reference.registry, secret ?? "");
  const http = { network: indexes, clock, certificates: indexes.certificates };
  const architecture = ARCHITECTURES[process.arch] ?? process.arch;
  const found = await new RegistryClient(http, signal, login).find(reference, architecture);
  return {
    identity: ["registry", found.digest],
    words: `${ref} (${found.digest.slice(0, 19)})`,
    config: found.config,
    make: async ({ work, onLine, signal: whileMade }) => {
      const client = new RegistryClient(http, whileMade, login);
      const file = join(work, "layer");
      const xattrs = new LayerXattrs();
      let leftOutCount = 0;
      for (const [index, layer] of found.layers.entries()) {
        const megabytes = (layer.byteCount / 1e6).toFixed(1);
        onLine(`layer ${index + 1} of ${found.layers.length} (${megabytes} MB)`);
        const archive = await client.layer(found, layer, file);
        const { leftOutXattrCount } = await applyTar(archive, join(work, "tree"), { xattrs });
        leftOutCount += leftOutXattrCount;
        await rm(file, { force: true });
        whileMade.throwIfAborted();
      }
      await xattrs.write(join(work, XATTRS_FILE));
      if (leftOutCount > 0) onLine(leftOutText(leftOutCount));
    },
  };
}

function leftOutText(count: number): string {
  const what = count === 1 ? "1 extended attribute is" : `${count} extended attributes are`;
  return `${what} left out: containers are given those named user.* of files and folders alone`;
}

/** Whether this host has what Debian's packages are fetched and unpacked with. */
function canMakeDebian(): boolean {
  return ["apt-get", "apt-cache", "dpkg-deb", "tar"].every(isProgram);
}

function isProgram(name: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, name), constants.X_OK);
      return true;
    } catch {
      // Not in this folder.
      return false;
    }
  });
}
