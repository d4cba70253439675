import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestTerminal } from "../../sandbox/runners/guest/test-terminal.ts";
import { addGuestProgram, GUEST_FILE } from "../../sandbox/runners/guest-program.ts";
import { Image, Sandbox, SandboxEndedError } from "../../sdk/index.ts";
import { TestPlatform } from "../support/platform.ts";

describe("sandboxes", () => {
  const platform = new TestPlatform();
  let sandbox: Sandbox;

  beforeAll(async () => {
    await platform.start();
    sandbox = await Sandbox.create({ memoryMiB: 512, env: { COLOUR: "blue" } });
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const sh = async (script: string, workdir?: string) =>
    (await sandbox.exec(["sh", "-c", script], workdir === undefined ? {} : { workdir })).output();

  it("runs programs with their output, errors, exit code, folder and variables", async () => {
    expect(await sh("echo $COLOUR; pwd; echo bad >&2; exit 7")).toEqual({
      exitCode: 7,
      stdout: "blue\n/tmp\n",
      stderr: "bad\n",
    });
    const program = await sandbox.exec(["node", "-p", "process.env.SIZE"], { env: { SIZE: "9" } });
    expect((await program.output()).stdout).toBe("9\n");
    await expect(sandbox.exec(["no-such-program"])).rejects.toThrow(/ENOENT/);
  });

  it("streams output while it comes, and holds a program that nobody listens to", async () => {
    const program = await sandbox.exec(["sh", "-c", "echo one; cat; yes | head -c 5000000"]);
    const chunks = program.stdout[Symbol.asyncIterator]();
    const nextText = async (): Promise<string> => {
      const next: IteratorResult<Uint8Array, unknown> = await chunks.next();
      return next.done === true ? "" : new TextDecoder().decode(next.value);
    };
    expect(await nextText()).toBe("one\n");
    await program.write("two\n");
    expect(await nextText()).toBe("two\n");
    await program.end();
    let bytes = 0;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      bytes += next.value.byteLength;
    }
    expect(bytes).toBe(5_000_000);
    expect(await program.wait()).toEqual({ exitCode: 0 });
  });

  it("takes large input whole, and ends a program with all that it started", async () => {
    const program = await sandbox.exec(["sha256sum"]);
    await program.write(new Uint8Array(3_000_000));
    await program.end();
    expect((await program.output()).stdout).toMatch(/^[0-9a-f]{64} {2}-\n$/);
    const endless = await sandbox.exec(["sh", "-c", "sleep 1000 & sleep 1000"]);
    await endless.kill();
    expect(await endless.wait()).toMatchObject({ signal: "SIGKILL" });
    const { stdout } = await sh("for one in /proc/[0-9]*; do cat $one/cmdline; done");
    expect(stdout).toMatch(/node/);
    expect(stdout).not.toMatch(/sleep/);
  });

  it("runs programs in a terminal that has a size, keys and an exit code", async () => {
    const shell = await sandbox.exec(["sh"], { pty: { rows: 30, cols: 90 }, env: { PS1: "" } });
    let shown = "";
    const following = (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of shell.stdout) shown += decoder.decode(chunk, { stream: true });
    })();
    const types = async (keys: string, shows: RegExp): Promise<void> => {
      await shell.write(keys);
      await expect.poll(() => shown).toMatch(shows);
    };
    await types("tty; stty size; echo $COLOUR\r", /\/dev\/pts\/\d+\r\n30 90\r\nblue\r\n/);
    await shell.resize({ rows: 50, cols: 132 });
    await types("stty size\r", /50 132\r\n/);
    await types("sleep 1000; echo slept=$?\r", /slept=\$\?\r\n/);
    const sleeps = "for one in /proc/[0-9]*; do cat $one/cmdline; echo; done | grep -c sleep.1000";
    await expect.poll(async () => (await sh(sleeps)).stdout).not.toBe("0\n");
    await types("\u0003", /\^C/);
    await types("echo after=$?\r", /after=130\r\n/);
    await shell.write("exit 7\r");
    await following;
    expect(await shell.wait()).toEqual({ exitCode: 7 });
    await expect(sandbox.exec(["nothing"], { pty: { rows: 1, cols: 1 } })).rejects.toThrow(
      /cannot start nothing: No such file/,
    );
    await expect(sandbox.exec(["sh"], { pty: { rows: 0, cols: 80 } })).rejects.toThrow(
      /1 to 65535/,
    );
    const plain = await sandbox.exec(["true"]);
    await expect(plain.resize({ rows: 1, cols: 1 })).rejects.toThrow(/has no terminal/);
  });

  it("ends all that runs in a terminal, and waits for orphans so that no zombie stays", async () => {
    const program = await sandbox.exec(["sh", "-c", "(sleep 1000 &) ; sleep 1000"], {
      pty: { rows: 24, cols: 80 },
    });
    await program.kill();
    expect((await program.wait()).exitCode).toBe(137);
    await (await sandbox.exec(["sh", "-c", "for n in 1 2 3 4 5; do (sleep 0.1 &); done"])).output();
    const states = "cat /proc/[0-9]*/stat | sed 's/.*) //' | cut -c1";
    await expect.poll(async () => (await sh(states)).stdout).not.toMatch(/Z/);
    expect((await sh("cat /proc/1/cmdline")).stdout).toMatch(/flotilla-guest/);
  });

  it("writes, reads, lists, watches and removes files, large ones too", async () => {
    const { files } = sandbox;
    await files.makeFolder("/tmp/work/deep");
    const seen = files.watch("/tmp/work");
    const first = seen.next();
    const large = crypto.getRandomValues(new Uint8Array(60_000));
    const whole = new Uint8Array(9_000_000);
    for (let at = 0; at < whole.byteLength; at += large.byteLength) whole.set(large, at);
    await files.write("/tmp/work/large", whole);
    expect(Buffer.from(await files.read("/tmp/work/large")).equals(whole)).toBe(true);
    await files.write("/tmp/work/text", "grüße");
    expect(await files.readText("/tmp/work/text")).toBe("grüße");
    expect((await files.list("/tmp/work")).map(({ name, type }) => [name, type])).toEqual([
      ["deep", "folder"],
      ["large", "file"],
      ["text", "file"],
    ]);
    expect((await first).value).toBe("large");
    await seen.return();
    await files.write("/tmp/work/text", "");
    expect(await files.readText("/tmp/work/text")).toBe("");
    await files.remove("/tmp/work");
    await expect(files.list("/tmp/work")).rejects.toThrow(/ENOENT/);
    await expect(files.write("/bin/evil", "x")).rejects.toThrow(/EROFS|EACCES/);
  });

  it("has no network unless it is given one", async () => {
    const script = "fetch('http://169.254.169.254/').catch((e) => console.log(e.cause.code))";
    const program = await sandbox.exec(["node", "-e", script]);
    expect((await program.output()).stdout).toMatch(/^E(HOST|NET)UNREACH\n$/);
  });

  it("is found by its id, and used and ended on the command line", async () => {
    expect((await Sandbox.list()).map(({ sandboxId }) => sandboxId)).toContain(sandbox.sandboxId);
    const same = await Sandbox.fromId(sandbox.sandboxId);
    await same.files.write("/tmp/shared", "by another");
    expect((await sh("cat /tmp/shared")).stdout).toBe("by another");
    const { sandboxId } = await Sandbox.create();
    const ran = platform.tryCli("sandbox", "exec", sandboxId, "--", "sh", "-c", "echo hi; exit 3");
    expect(ran).toMatchObject({ stdout: "hi\n", status: 3 });
    const counted = platform.tryCli("sandbox", "exec", "-i", sandboxId, "--", "wc", "-c");
    expect(counted).toMatchObject({ stdout: "0\n", status: 0 });
    const noTerminal = platform.tryCli("sandbox", "exec", "-t", sandboxId, "--", "sh");
    expect(noTerminal).toMatchObject({ status: 2 });
    expect(noTerminal.stderr).toMatch(/there is no terminal here/);
    expect(platform.cli("sandbox", "list")).toContain(sandboxId);
    platform.cli("sandbox", "terminate", sandboxId);
    await expect(Sandbox.fromId(sandboxId)).rejects.toThrow(SandboxEndedError);
    await expect(Sandbox.fromId("sandbox-none")).rejects.toThrow(/is no sandbox/);
  });

  it("lends this terminal to a program on the command line, and gives it back", async () => {
    const dir = join(platform.scratchDir, "guest");
    await mkdir(dir);
    expect(await addGuestProgram(dir)).toBe(true);
    const exec = `flotilla sandbox exec --tty ${sandbox.sandboxId} -- sh`;
    const terminal = new TestTerminal(
      join(dir, GUEST_FILE),
      ["sh", "-c", `${exec}; echo code=$?; stty -a | grep -o ' .\\?icanon'`],
      { ...process.env, PS1: "" },
    );
    try {
      terminal.type("stty size; tty\r");
      await terminal.shows(/24 80\r+\n\/dev\/pts/);
      terminal.resize(40, 100);
      // Keys do not wait for a size that is on its way.
      terminal.type("\u0003until stty size | grep '40 100'; do sleep 0.1; done\r");
      await terminal.shows(/40 100\r+\n/);
      terminal.type("exit 5\r");
      await terminal.shows(/code=5\r\n icanon\r\n/);
      expect(await terminal.ended).toBe(0);
    } finally {
      terminal.end();
    }
  });

  it("runs in an image of its own, which need not have anything, and has terminals there", async () => {
    const file = platform.write("word.txt", "of the image");
    const image = Image.fromScratch().addLocalFile(file, "/srv/word.txt").env({ COLOUR: "green" });
    const lines: string[] = [];
    const inImage = await Sandbox.create({ image, onProgress: (line) => lines.push(line) });
    expect(lines.join("\n")).toMatch(/an empty image/);
    const read =
      "fs.readFileSync('/srv/word.txt', 'utf8') + process.env.COLOUR + process.stdout.isTTY";
    const node = "/opt/flotilla/bin/node";
    const program = await inImage.exec([node, "-p", read], { pty: { rows: 9, cols: 99 } });
    expect((await program.output()).stdout).toBe("of the imagegreentrue\r\n");
    await expect(inImage.exec(["sh"])).rejects.toThrow(/ENOENT/);
    await inImage.terminate();
    const missing = Image.fromScratch().addLocalFile("/no/such/file", "/");
    await expect(Sandbox.create({ image: missing })).rejects.toThrow(/\/no\/such\/file/);
  });

  it("ends when it is idle or its time is over, and says so instead of starting anew", async () => {
    const [idle, short] = await Promise.all([
      Sandbox.create({ idleTimeoutMs: 2_000 }),
      Sandbox.create({ timeoutMs: 1_000 }),
    ]);
    const end = async (one: Sandbox): Promise<string> =>
      one.files.list("/tmp").then(
        () => "alive",
        (error: unknown) => (error instanceof SandboxEndedError ? "ended" : String(error)),
      );
    await expect.poll(() => end(short), { interval: 500 }).toBe("ended");
    await expect.poll(() => end(idle), { interval: 6_000 }).toBe("ended");
    await Promise.all([idle.terminate(), short.terminate()]);
    await short.terminate();
  });
});

describe("a sandbox and its platform", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start();
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  it("is gone with it, which says so after a restart and keeps nothing of it", async () => {
    const sandbox = await Sandbox.create();
    await (await sandbox.exec(["sleep", "1000"])).end();
    await platform.stop();
    await platform.start();
    await expect(sandbox.files.list("/tmp")).rejects.toThrow(SandboxEndedError);
    await sandbox.terminate();
    expect(await Sandbox.list()).toEqual([]);
  });
});
