/** Lists of the API, which come in pages. */
import type { Paged } from "../protocol/paged.ts";
import type { Transport } from "./transport.ts";

/** The most that a page may have. */
const PAGE_ITEMS = 1_000;

/** Every page of a list, in order; one request each. */
export async function allPages<List extends Paged>(
  transport: Pick<Transport, "json">,
  path: string,
  query: Readonly<Record<string, string>> = {},
): Promise<readonly List[]> {
  const pages: List[] = [];
  let cursor: string | undefined;
  do {
    const asked = new URLSearchParams({
      ...query,
      limit: String(PAGE_ITEMS),
      ...(cursor === undefined ? {} : { cursor }),
    });
    const page = await transport.json<List>({ method: "GET", path: `${path}?${asked.toString()}` });
    pages.push(page);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return pages;
}
