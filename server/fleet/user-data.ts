/**
 * What a rented machine is told at its first boot: a cloud-config that writes the agent's
 * settings and starts it. The machine image must have `flotilla` installed.
 *
 * It carries nothing secret but a join token, good for one machine, once, and for a short time.
 */
import { parse, stringify } from "yaml";
import { PlatformError } from "../../core/index.ts";

const CONFIG_PATH = "/etc/flotilla/agent.json";
const HEADER = "#cloud-config\n";

/** The part of an agent's settings that its machine cannot know by itself. */
export interface FirstBoot {
  readonly serverUrl: string;
  readonly nodeId: string;
  readonly token: string;
}

/** User data for a machine; plain text, to be encoded as its cloud wants it. */
export function userDataOf(firstBoot: FirstBoot): string {
  const config = {
    write_files: [{ path: CONFIG_PATH, permissions: "0600", content: JSON.stringify(firstBoot) }],
    runcmd: [["flotilla", "agent", "--config", CONFIG_PATH]],
  };
  return HEADER + stringify(config);
}

/** The settings in user data that `userDataOf` made. @throws PlatformError `invalid_request` */
export function firstBootOf(userData: string): FirstBoot {
  const document: unknown = userData.startsWith(HEADER) ? parse(userData) : undefined;
  const content = contentOf(document);
  const value: unknown = content === undefined ? undefined : JSON.parse(content);
  if (!isFirstBoot(value)) {
    throw new PlatformError("the user data holds no settings of a node agent", {
      code: "invalid_request",
      retryable: false,
    });
  }
  return value;
}

function contentOf(document: unknown): string | undefined {
  if (typeof document !== "object" || document === null || !("write_files" in document)) {
    return undefined;
  }
  const files: unknown = document.write_files;
  const file: unknown = Array.isArray(files) ? files.at(0) : undefined;
  if (typeof file !== "object" || file === null || !("content" in file)) return undefined;
  return typeof file.content === "string" ? file.content : undefined;
}

function isFirstBoot(value: unknown): value is FirstBoot {
  if (typeof value !== "object" || value === null) return false;
  const fields = ["serverUrl", "nodeId", "token"] as const;
  return fields.every((field) => field in value && typeof Reflect.get(value, field) === "string");
}
