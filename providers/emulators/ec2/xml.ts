/** XML as EC2 writes it: names, texts, and lists whose members are `<item>`. */

/** Absent members are left out; a list becomes one `<item>` per member. */
export type XmlValue =
  | string
  | number
  | boolean
  | undefined
  | readonly XmlValue[]
  | { readonly [name: string]: XmlValue };

const HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n';
const NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/";
const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};

/** The document of a successful answer. @param body the members beside the request id. */
export function responseDocument(
  action: string,
  requestId: string,
  body: Readonly<Record<string, XmlValue>>,
): string {
  const root = `${action}Response`;
  return `${HEAD}<${root} xmlns="${NAMESPACE}">${contentOf({ requestId, ...body })}</${root}>`;
}

/** The document of an error answer. */
export function errorDocument(requestId: string, code: string, message: string): string {
  const error = { Errors: { Error: { Code: code, Message: message } }, RequestID: requestId };
  return `${HEAD}${contentOf({ Response: error })}`;
}

function contentOf(value: XmlValue): string {
  if (value === undefined) return "";
  if (typeof value !== "object") return escapeText(String(value));
  if (isList(value)) return value.map((item) => element("item", item)).join("");
  return Object.entries(value)
    .map(([name, member]) => element(name, member))
    .join("");
}

function isList(value: object): value is readonly XmlValue[] {
  return Array.isArray(value);
}

function element(name: string, value: XmlValue): string {
  if (value === undefined) return "";
  const content = contentOf(value);
  return content === "" ? `<${name}/>` : `<${name}>${content}</${name}>`;
}

/** Control characters that XML 1.0 cannot carry are dropped. */
function escapeText(text: string): string {
  // eslint-disable-next-line no-control-regex
  const carried = text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "");
  return carried.replace(/[&<>"]/g, (character) => ESCAPES[character] ?? character);
}
