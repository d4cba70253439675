/** Forms of settings: each reads a text, or says what it takes instead. */
import { resolve } from "node:path";
import { GPU_TYPES } from "../core/index.ts";
import { nearestWord } from "../documents/index.ts";
import { parseRanges, parseS3Url } from "../sandbox/index.ts";
import { EMULATED_CLOUDS, type EmulatedCloud } from "./config.ts";
import { parseSecretKey } from "./secrets/secret-key.ts";

/** Most emulated GPUs of one machine. */
const LOCAL_GPUS_MAX = 16;

/** A text as a value; or, when it is none, what would be. */
export type Parse<Value> = (
  text: string,
) => { readonly value: Value } | { readonly expects: string; readonly isSecret?: true };

export function wholeNumber(min: number, max: number): Parse<number> {
  return (text) => {
    const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return { value };
    return { expects: `a whole number from ${min} to ${max}` };
  };
}

export function usd(text: string): ReturnType<Parse<number>> {
  const value = /^[0-9]{1,9}(\.[0-9]{1,6})?$/.test(text) ? Number(text) : Number.NaN;
  return value >= 0 ? { value } : { expects: "an amount of dollars such as 12.50" };
}

export function onOrOff(text: string): ReturnType<Parse<boolean>> {
  const word = text.toLowerCase();
  if (["1", "true", "on", "yes"].includes(word)) return { value: true };
  if (["0", "false", "off", "no"].includes(word)) return { value: false };
  return { expects: "on or off" };
}

export function oneOf<Word extends string>(words: readonly Word[]): Parse<Word> {
  return (text) => {
    const value = words.find((word) => word === text);
    if (value !== undefined) return { value };
    const near = nearestWord(text, words);
    const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
    return { expects: `one of ${words.join(", ")}${hint}` };
  };
}

export function addressRange(text: string): ReturnType<Parse<string>> {
  if (parseRanges([text]) !== undefined) return { value: text };
  return { expects: "a range of addresses such as 10.1.0.0/16" };
}

export function listOf<Item>(parse: Parse<Item>): Parse<readonly Item[]> {
  return (text) => {
    const value: Item[] = [];
    for (const part of text.split(",")) {
      const item = parse(part.trim());
      if (!("value" in item)) return { expects: `a list with commas, each ${item.expects}` };
      value.push(item.value);
    }
    return { value };
  };
}

/** All, none, or those named, in the order in which they are started. */
export function emulatedCloudList(text: string): ReturnType<Parse<readonly EmulatedCloud[]>> {
  const isAll = onOrOff(text);
  if ("value" in isAll) return { value: isAll.value ? EMULATED_CLOUDS : [] };
  const words = text.split(",").map((word) => word.trim().toLowerCase());
  const isKnown = (word: string): boolean => EMULATED_CLOUDS.some((cloud) => cloud === word);
  const wrong = words.find((word) => !isKnown(word));
  if (wrong === undefined) return { value: EMULATED_CLOUDS.filter((one) => words.includes(one)) };
  const near = nearestWord(wrong, [...EMULATED_CLOUDS, "on", "off"]);
  const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
  const list = "a list with commas of aws, gcp and azure";
  return { expects: `on, off, or ${list}${hint}` };
}

export function region(text: string): ReturnType<Parse<string>> {
  const isRegion = /^[a-z]{2,}[a-z0-9-]{0,60}$/.test(text);
  return isRegion ? { value: text } : { expects: "a region such as us-east-1" };
}

export function azureName(text: string): ReturnType<Parse<string>> {
  const isName = /^[\w().-]{1,90}$/.test(text);
  return isName ? { value: text } : { expects: "a name or an id of Azure, without slashes" };
}

export function azureImage(text: string): ReturnType<Parse<string>> {
  const isImage = /^\/subscriptions\/\S+$/i.test(text) || /^[^:\s]+(:[^:\s]+){3}$/.test(text);
  return isImage
    ? { value: text }
    : { expects: "the resource id of an image, or publisher:offer:sku:version" };
}

/** Source of the form: Google Cloud documentation, project ids (read 2026-11). */
export function gcpProject(text: string): ReturnType<Parse<string>> {
  const isProject = /^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$/.test(text);
  return isProject ? { value: text } : { expects: "the id of a project such as my-project-123" };
}

export function folder(text: string): ReturnType<Parse<string>> {
  return pathOf(text, "the path of a folder");
}

export function filePath(text: string): ReturnType<Parse<string>> {
  return pathOf(text, "the path of a file");
}

function pathOf(text: string, expects: string): ReturnType<Parse<string>> {
  const isPath = text.trim() !== "" && !text.includes("\0");
  return isPath ? { value: resolve(text) } : { expects };
}

export function hostName(text: string): ReturnType<Parse<string>> {
  const isHost = /^[A-Za-z0-9.:_-]{1,253}$/.test(text);
  return isHost ? { value: text } : { expects: "an address to listen on such as 127.0.0.1" };
}

export function redisUrlOf(text: string): ReturnType<Parse<string>> {
  const url = URL.parse(text);
  const isRedis = url !== null && /^rediss?:$/.test(url.protocol) && url.host !== "";
  return isRedis ? { value: text } : { expects: "a URL such as redis://localhost:6379/0" };
}

export function s3Url(text: string): ReturnType<Parse<NonNullable<ReturnType<typeof parseS3Url>>>> {
  const place = parseS3Url(text);
  return place === undefined
    ? { expects: "a bucket such as s3://bucket/prefix" }
    : { value: place };
}

export function httpUrl(text: string): ReturnType<Parse<string>> {
  const url = URL.parse(text);
  const isHttp = url !== null && /^https?:$/.test(url.protocol) && url.host !== "";
  if (!isHttp || url.search !== "")
    return { expects: "a URL such as https://flotilla.example.com" };
  return { value: text.replace(/\/+$/, "") };
}

export function registryHosts(text: string): ReturnType<Parse<readonly string[]>> {
  const hosts = text.split(",").map((host) => host.trim().toLowerCase());
  const isRight = hosts.every((host) => /^[a-z0-9.-]{1,253}:[0-9]{1,5}$/.test(host));
  return isRight ? { value: hosts } : { expects: "host:port, or several with commas between" };
}

export function apiKey(text: string): ReturnType<Parse<string>> {
  const isKey = /^[A-Za-z0-9_-]{8,200}$/.test(text);
  if (isKey) return { value: text };
  return { expects: "an API key: 8 or more letters, digits, - and _", isSecret: true };
}

export function secretKeyIn(text: string): ReturnType<Parse<Uint8Array>> {
  const value = parseSecretKey(text);
  if (value !== undefined) return { value };
  return {
    expects: "32 bytes in hexadecimal or base64, as of `openssl rand -hex 32`",
    isSecret: true,
  };
}

export function emulatedGpusOf(text: string): ReturnType<Parse<string>> {
  const [name = "", count = "1", ...rest] = text.split(":");
  const isType = GPU_TYPES.some((type) => type === name);
  const isCount = /^[1-9][0-9]?$/.test(count) && Number(count) <= LOCAL_GPUS_MAX;
  if (isType && isCount && rest.length === 0) return { value: `${name}:${count}` };
  const near = isType ? undefined : nearestWord(name, GPU_TYPES);
  const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
  return { expects: `a GPU type and how many, 1 to ${LOCAL_GPUS_MAX}, such as H100:8${hint}` };
}
