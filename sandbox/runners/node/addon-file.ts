/** Name of the add-on that seeds OpenSSL anew, beside the runner. */
export const ENTROPY_ADDON_FILE = "flotilla-entropy.node";
