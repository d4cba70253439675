/**
 * What a rented machine is told at its first boot: a cloud-config that fetches the node agent
 * from this server, checks it, and runs it as a service.
 *
 * It is the same for all machines of a batch and carries nothing secret but the batch's join
 * token, which is good for a short time and once for each machine. Whatever is fetched must have
 * the hash that is written here. When the agent is dismissed (its node is released or unknown, or
 * no server has taken it in for half an hour) the service has succeeded and the machine powers
 * itself off: a machine that nobody owns must not run on.
 *
 * Needed on the image: systemd, cloud-init, curl, and for isolation `runsc` or a way to
 * gvisor's own releases.
 */
import { parse, stringify } from "yaml";
import { PlatformError, type Offer } from "../../core/index.ts";
import { BATCH_HEADER, type MetadataCloud } from "../../sandbox/index.ts";

/** A file that the machine fetches from `/v1/agent/files/<sha256>`. */
export interface AgentFile {
  readonly name: string;
  readonly sha256: string;
}

/** The part of an agent's settings that its machine cannot know by itself. */
export interface FirstBoot {
  readonly serverUrl: string;
  readonly token: string;
  readonly rented: { readonly batch: string; readonly cloud: MetadataCloud };
  readonly egressOpenRanges?: readonly string[];
  readonly peerPort?: number;
}

const HEADER = "#cloud-config\n";
const CONFIG_PATH = "/etc/flotilla/agent.json";
const HEADERS_PATH = "/etc/flotilla/headers";
const BOOT_PATH = "/opt/flotilla/boot.sh";
const UNIT = "flotilla-agent.service";

/** The cloud whose metadata service the machines of a batch ask; all offers are of one cloud. */
export function metadataCloudOf(offers: readonly Pick<Offer, "cloud">[]): MetadataCloud {
  const [{ cloud } = { cloud: "aws" as const }] = offers;
  if (cloud === "aws" || cloud === "gcp" || cloud === "azure") return cloud;
  throw new PlatformError(`machines of ${cloud} cannot learn who they are; rent from another`, {
    code: "invalid_request",
    retryable: false,
  });
}

/** Name of the Node binary among the files; a machine without one uses its own. */
export const NODE_FILE = "node";
/** Name of the agent among the files. */
export const AGENT_FILE = "agent.mjs";

/** User data for the machines of a batch; plain text, to be encoded as its cloud wants it. */
export function userDataOf(firstBoot: FirstBoot, files: readonly AgentFile[]): string {
  const { token, rented } = firstBoot;
  const headers = `Authorization: Bearer ${token}\n${BATCH_HEADER}: ${rented.batch}\n`;
  const config = {
    write_files: [
      { path: CONFIG_PATH, permissions: "0600", content: JSON.stringify(firstBoot) },
      { path: HEADERS_PATH, permissions: "0600", content: headers },
      { path: BOOT_PATH, permissions: "0755", content: bootScriptOf(firstBoot.serverUrl, files) },
      { path: `/etc/systemd/system/${UNIT}`, permissions: "0644", content: UNIT_FILE },
    ],
    runcmd: [
      ["systemctl", "daemon-reload"],
      ["systemctl", "enable", "--now", UNIT],
    ],
  };
  return HEADER + stringify(config, { lineWidth: 0 });
}

/** The settings in user data that `userDataOf` made. @throws PlatformError `invalid_request` */
export function firstBootOf(userData: string): FirstBoot {
  const content = fileIn(userData, CONFIG_PATH);
  const value: unknown = content === undefined ? undefined : JSON.parse(content);
  if (!isFirstBoot(value)) {
    throw new PlatformError("the user data holds no settings of a node agent", {
      code: "invalid_request",
      retryable: false,
    });
  }
  return value;
}

/** The content of a file that user data writes; undefined when it writes none of that path. */
export function fileIn(userData: string, path: string): string | undefined {
  const document: unknown = userData.startsWith(HEADER) ? parse(userData) : undefined;
  if (!isRecord(document) || !Array.isArray(document["write_files"])) return undefined;
  const files: readonly unknown[] = document["write_files"];
  const file = files.find((one) => isRecord(one) && one["path"] === path);
  const content = isRecord(file) ? file["content"] : undefined;
  return typeof content === "string" ? content : undefined;
}

/**
 * Restarted when it fails, for as long as the machine lives; its success ends the machine.
 * Containers are control groups of their own, so that the unit delegates.
 */
const UNIT_FILE = `[Unit]
Description=Flotilla node agent
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0
SuccessAction=poweroff

[Service]
ExecStart=${BOOT_PATH}
Restart=on-failure
RestartSec=2
Delegate=yes
LimitNOFILE=1048576

[Install]
WantedBy=multi-user.target
`;

/**
 * Fetches what is missing, checks every file each time, and becomes the agent. FLOTILLA_ROOT
 * stands in for the root folder when the script is tried out.
 *
 * Source of the way to runsc: gvisor.dev, "Installation, Install specific release" (read 2026-11).
 */
function bootScriptOf(serverUrl: string, files: readonly AgentFile[]): string {
  const fetches = files.map(({ name, sha256 }) => `get ${name} ${sha256}`).join("\n");
  const node = files.some(({ name }) => name === NODE_FILE) ? `./${NODE_FILE}` : NODE_FILE;
  return `#!/bin/sh
set -eu
root=\${FLOTILLA_ROOT:-}
cd "$root/opt/flotilla"
is_good() {
  echo "$2  $1" | sha256sum -c --status - 2>/dev/null
}
get() {
  is_good "$1" "$2" && return
  curl -fsS --retry 5 --retry-connrefused --max-time 900 -H "@$root${HEADERS_PATH}" \\
    -o "$1.part" "${serverUrl}/v1/agent/files/$2"
  is_good "$1.part" "$2" || { echo "$1 does not have the hash $2; it is not run" >&2; exit 1; }
  chmod 0755 "$1.part"
  mv "$1.part" "$1"
}
${fetches}
if ! command -v runsc >/dev/null && [ -z "$root" ]; then
  from=https://storage.googleapis.com/gvisor/releases/release/latest/$(uname -m)
  curl -fsSL --retry 5 -O "$from/runsc" -O "$from/runsc.sha512"
  sha512sum -c --quiet runsc.sha512
  install -m 0755 runsc /usr/local/bin/runsc
fi
exec ${node} ${AGENT_FILE} --config "$root${CONFIG_PATH}"
`;
}

function isFirstBoot(value: unknown): value is FirstBoot {
  if (!isRecord(value) || !isRecord(value["rented"])) return false;
  const { batch, cloud } = value["rented"];
  const texts = [value["serverUrl"], value["token"], batch, cloud];
  return texts.every((text) => typeof text === "string");
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
