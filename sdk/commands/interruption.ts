import { InterruptedError } from "./interrupted-error.ts";
import { printProgress } from "./terminal.ts";

export interface InterruptionWords {
  /** What ctrl-C begins: `Stopping the app`. */
  readonly doing: string;
  /** What it has led to when the command ends: `the app was stopped`. */
  readonly done: string;
}

/** Rejects with an InterruptedError on ctrl-C; a second one ends the process at once. */
export function interruption({ doing, done }: InterruptionWords): Promise<never> {
  return new Promise((_resolve, reject) => {
    let count = 0;
    const onSignal = (): void => {
      count += 1;
      if (count > 1) process.exit(130);
      printProgress(`${doing}; ctrl-C again to leave at once`);
      reject(new InterruptedError(`interrupted: ${done}`));
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
}
