/** What the checks of `flotilla doctor` give. */

/** What one check found. */
export interface Finding {
  readonly name: string;
  /** `bad` is a missing requirement; `absent` is something one can do without. */
  readonly state: "good" | "bad" | "absent";
  readonly detail: string;
  /** What to do about it; set when there is something to do. */
  readonly mend?: string;
}
