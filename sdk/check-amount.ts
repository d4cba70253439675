/** Checks amounts that are reserved, and may be used beyond that up to a limit. */

type Check = (value: unknown) => string | undefined;

const ENDS = ["request", "limit"] as const;

/** A check for what is one amount, or `{ request, limit }` of two; `check` is that of each. */
export function checkAmount(check: Check): Check {
  return (value) => {
    if (typeof value !== "object" || value === null) return check(value);
    const other = Object.keys(value).find((key) => !ENDS.some((end) => end === key));
    if (other !== undefined) return `has no "${other}"; there are request and limit`;
    const given: { readonly request?: unknown; readonly limit?: unknown } = value;
    for (const end of ENDS) {
      if (given[end] === undefined) return `needs request and limit, and has no ${end}`;
      const problem = check(given[end]);
      if (problem !== undefined) return `.${end} ${problem}`;
    }
    const { request, limit } = given;
    return Number(limit) < Number(request)
      ? `.limit (${String(limit)}) must not be below .request (${String(request)})`
      : undefined;
  };
}
