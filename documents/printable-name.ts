/** Names that people and files give to things: printed as they are, so nothing hidden in them. */
import { z } from "zod";

/* eslint-disable no-control-regex -- finding control characters is the job of this */
/** No control, direction-changing or invisible characters; 1 to 200 of the rest. */
const PRINTABLE =
  /^[^\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]{1,200}$/;
/* eslint-enable no-control-regex */

/** Whether a text may be a name. */
export function isPrintableName(text: string): boolean {
  return PRINTABLE.test(text);
}

/** The schema of a name. */
export const printableName = z.string().regex(PRINTABLE);
