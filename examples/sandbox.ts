/** Code that nobody has read, run where it can do no harm: `node examples/sandbox.ts`. */
import { Sandbox } from "flotilla";

const code = `
const numbers = Array.from({ length: 10 }, (_, n) => n * n);
console.log(numbers.join(" "));
`;

const sandbox = await Sandbox.create({ memoryMiB: 256, timeoutMs: 60_000 });
try {
  await sandbox.files.write("/tmp/main.mjs", code);
  const program = await sandbox.exec(["node", "/tmp/main.mjs"]);
  const { exitCode, stdout, stderr } = await program.output();
  console.log({ exitCode, stdout, stderr });
} finally {
  await sandbox.terminate();
}
