/** A page of a list: `nextCursor` is the `cursor` of the next one, absent on the last. */
export interface Paged {
  readonly nextCursor?: string;
}
