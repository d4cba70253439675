/**
 * Where the platform's Node is in an image. Nodes need this of the builder and nothing else: its
 * programs must not become part of their agent.
 */

/** Where functions' containers find the platform's Node, and builds npm. */
export const RUNTIME_DIR = "/opt/flotilla";
/** Its Node. */
export const NODE_PATH = `${RUNTIME_DIR}/bin/node`;
