/** An example below the help of each of the operator's commands that says no more about itself. */

const NODE = "no_01m8cnmkses1zeaspmkdf5yncz";

/** What to type, by the command's words. */
export const OPERATOR_EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  up: [
    "flotilla up --detach                                this machine and no cloud",
    "flotilla up --emulated-clouds --local-gpus H100:8   no account and no GPU needed",
    "flotilla up --policy policy.yaml --host 0.0.0.0     for others too",
  ],
  down: ["flotilla down"],
  agent: ["flotilla agent --config /etc/flotilla/agent.json"],
  "node list": ["flotilla node list --json"],
  "pool status": ["flotilla pool status"],
  "pool events": ["flotilla pool events --limit 50", `flotilla pool events --node ${NODE}`],
  "pool cordon": [`flotilla pool cordon ${NODE} --reason "slow disk"`],
  "pool uncordon": [`flotilla pool uncordon ${NODE}`],
  "pool drain": [`flotilla pool drain ${NODE} --deadline 10m`],
  "pool release": [`flotilla pool release ${NODE} --yes`],
  "cloud list": ["flotilla cloud list"],
  "cloud check": ["flotilla cloud check aws"],
  "catalog list": ["flotilla catalog list --gpu H100 --cloud aws"],
  "catalog show": ["flotilla catalog show p5.48xlarge --region us-east-1"],
  "catalog refresh": ["flotilla catalog refresh --dry-run"],
  "secret rotate-key": ["flotilla secret rotate-key"],
  doctor: ["flotilla doctor"],
};
