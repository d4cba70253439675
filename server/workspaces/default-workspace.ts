/** The workspace that is always there: what a platform had before it had others is in it. */
export const DEFAULT_WORKSPACE = "default";
