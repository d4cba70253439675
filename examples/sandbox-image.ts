/** Files of one sandbox that others start from: `node examples/sandbox-image.ts`. */
import { Image, Sandbox } from "flotilla";

const prepare = `
const { mkdirSync, writeFileSync } = require("node:fs");
mkdirSync("/srv/tables");
const squares = Array.from({ length: 10 }, (_, n) => n * n);
writeFileSync("/srv/tables/squares.json", JSON.stringify(squares));
`;

const first = await Sandbox.create({
  image: Image.fromScratch().workdir("/srv"),
  diskMiB: 64,
  memoryMiB: 256,
});
await (await first.exec(["node", "-e", prepare])).output();
const image = await first.snapshotFilesystem();
await first.terminate();

// Any program can have it by its id: Image.fromId(image.imageId).
const ask = (n: number) => `console.log(${n}, require("/srv/tables/squares.json")[${n}])`;
for (const n of [3, 7]) {
  const sandbox = await Sandbox.create({ image, memoryMiB: 256 });
  const { stdout, stderr } = await (await sandbox.exec(["node", "-e", ask(n)])).output();
  console.log(stdout.trim(), stderr);
  await sandbox.terminate();
}
