/** Places in a policy file by path, such as `optimizer.shares.0.maxFraction`. */
import { allowedAt, type Allowed } from "../../../documents/index.ts";
import { policyJsonSchema } from "../../policy/policy-file.ts";

/** Every path with a fixed name, sections first. */
export function policyPaths(): readonly string[] {
  return pathsBelow(policyJsonSchema() as Allowed, []);
}

/**
 * A policy's content with one value replaced; undefined when a policy has no such place. The
 * value itself is not checked.
 */
export function withValueAt(raw: unknown, path: string, value: unknown): unknown {
  const steps = path.split(".").map((step) => (/^\d+$/.test(step) ? Number(step) : step));
  const { node } = allowedAt(policyJsonSchema() as Allowed, steps);
  return node === undefined ? undefined : replaced(raw ?? {}, steps, value);
}

function pathsBelow(node: Allowed, path: readonly string[]): readonly string[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
    const own = [...path, key];
    return [own.join("."), ...pathsBelow(child, own)];
  });
}

function replaced(raw: unknown, steps: readonly (string | number)[], value: unknown): unknown {
  const [step, ...rest] = steps;
  if (step === undefined) return value;
  if (typeof step === "number") {
    const list: readonly unknown[] = Array.isArray(raw) ? raw : [];
    return list.toSpliced(step, 1, replaced(list[step], rest, value));
  }
  const map: Readonly<Record<string, unknown>> = isMap(raw) ? raw : {};
  const present = Object.hasOwn(map, step) ? map[step] : undefined;
  return { ...map, [step]: replaced(present, rest, value) };
}

function isMap(raw: unknown): raw is Readonly<Record<string, unknown>> {
  return typeof raw === "object" && raw !== null && !Array.isArray(raw);
}
