import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NotFoundError, RequestError, Sandbox, UsageError, Volume } from "../../sdk/index.ts";
import { TestPlatform } from "../support/platform.ts";

describe("volumes of sandboxes", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start();
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  /** A volume with one file, and sandboxes that have it. */
  async function shared(name: string, sandboxCount: number) {
    const data = Volume.fromName(name, { createIfMissing: true });
    await data.writeFile("first.txt", "first");
    const volumes = { "/srv/data": data };
    const sandboxes = await Promise.all(
      Array.from({ length: sandboxCount }, () => Sandbox.create({ volumes })),
    );
    return { data, sandboxes };
  }

  const sh = async (sandbox: Sandbox, script: string): Promise<string> =>
    (await (await sandbox.exec(["sh", "-c", script], { workdir: "/srv/data" })).output()).stdout;

  const pathsOf = async (data: Volume): Promise<readonly string[]> =>
    (await data.list("", { recursive: true })).map(({ path }) => path);

  it("are mounted as they were at its start, written by its programs and files, and committed", async () => {
    const { data, sandboxes } = await shared("written", 1);
    const [sandbox] = sandboxes as [Sandbox];
    await data.writeFile("later.txt", "not seen");
    const script = "ls; echo changed > first.txt; mkdir deep; echo run > deep/tool; ln -s /etc out";
    expect(await sh(sandbox, script)).toBe("first.txt\n");
    await sandbox.files.write("/srv/data/deep/large", new Uint8Array(3_000_000));
    expect(await sandbox.commit(data)).toMatchObject({ version: 3, overwritten: [], skipped: [] });
    const paths = ["deep", "deep/large", "deep/tool", "first.txt", "later.txt", "out"];
    expect(await pathsOf(data)).toEqual(paths);
    expect((await data.readFile("deep/large")).byteLength).toBe(3_000_000);
    expect(Buffer.from(await data.readFile("first.txt")).toString()).toBe("changed\n");
    expect(await sandbox.commit(data)).toMatchObject({ changedCount: 0, removedCount: 0 });
    await sandbox.terminate();
  });

  it("lose nothing when two sandboxes write different files, and tell who overwrote whom", async () => {
    const { data, sandboxes } = await shared("together", 2);
    const [one, other] = sandboxes as [Sandbox, Sandbox];
    await Promise.all([sh(one, "echo 1 > one"), sh(other, "echo 2 > other; rm first.txt")]);
    await Promise.all([one.commit(data), other.commit(data)]);
    expect(await pathsOf(data)).toEqual(["one", "other"]);
    expect(await sh(one, "ls")).toBe("first.txt\none\n");
    expect(await one.reload(data)).toMatchObject({ changedCount: 1, removedCount: 1 });
    expect(await sh(one, "cat one other; ls")).toBe("1\n2\none\nother\n");

    await sh(one, "echo mine > other");
    await one.commit(data);
    await sh(other, "echo again > other");
    expect(await other.commit(data)).toMatchObject({ overwritten: ["other"] });
    expect(Buffer.from(await data.readFile("other")).toString()).toBe("again\n");
    await Promise.all([one.terminate(), other.terminate()]);
  });

  it("are not reloaded under a program that has a file open, which is named", async () => {
    const { data, sandboxes } = await shared("open", 1);
    const [sandbox] = sandboxes as [Sandbox];
    const reader = await sandbox.exec(["sh", "-c", "exec 3< first.txt; echo open; sleep 1000"], {
      workdir: "/srv/data",
    });
    await reader.stdout[Symbol.asyncIterator]().next();
    await data.writeFile("first.txt", "second");
    const refused = await sandbox.reload(data).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(RequestError);
    expect(refused).toMatchObject({
      code: "conflict",
      message: expect.stringContaining("open in the sandbox: /srv/data/first.txt") as string,
    });
    await reader.kill();
    await reader.wait();
    expect(await sandbox.reload(data)).toMatchObject({ changedCount: 1 });
    expect(await sh(sandbox, "cat first.txt")).toBe("second");
    await sandbox.terminate();
  });

  it("are committed by themselves when it ends, by whatever end", async () => {
    const { data, sandboxes } = await shared("ended", 2);
    const [terminated, exited] = sandboxes as [Sandbox, Sandbox];
    await sh(terminated, "echo 1 > terminated");
    await terminated.terminate();
    await sh(exited, "echo 2 > exited; kill -9 -1; kill -9 1").catch(() => "");
    await exited.terminate();
    await expect.poll(() => pathsOf(data)).toEqual(["exited", "first.txt", "terminated"]);
    await expect(terminated.commit(data)).rejects.toThrow(/has ended/);
  });

  it("must be there, be named once, and lie outside the folders of the system", async () => {
    const missing = Volume.fromName("no-such-volume");
    const unknown = await Sandbox.create({ volumes: { "/data": missing } }).catch(
      (error: unknown) => error,
    );
    expect(unknown).toBeInstanceOf(RequestError);
    expect(String(unknown)).toContain("flotilla volume create no-such-volume");
    const made = Volume.fromName("made", { createIfMissing: true });
    const attempt = (volumes: Readonly<Record<string, Volume>>) => Sandbox.create({ volumes });
    await expect(attempt({ data: made })).rejects.toThrow(UsageError);
    await expect(attempt({ "/data/../etc": made })).rejects.toThrow(/no absolute path/);
    await expect(attempt({})).rejects.toThrow(/1 to 8 Volumes/);
    // As someone without types may write it.
    const text = { "/data": "made" } as unknown as Record<string, Volume>;
    await expect(attempt(text)).rejects.toThrow(/no Volume at "\/data"/);
    await expect(attempt({ "/etc/data": made })).rejects.toThrow(/folder of the system/);
    await expect(attempt({ "/opt/flotilla": made })).rejects.toThrow(/the platform's own/);
    await expect(attempt({ "/a": made, "/b": made })).rejects.toThrow(/named twice/);
    const within = { "/a": made, "/a/b": Volume.fromName("more", { createIfMissing: true }) };
    await expect(attempt(within)).rejects.toThrow(/lies within another/);
    expect(await Sandbox.list()).toEqual([]);
  });

  it("are its own: those that it does not have are named, and what it has is said", async () => {
    const { data, sandboxes } = await shared("own", 1);
    const [sandbox] = sandboxes as [Sandbox];
    const other = Volume.fromName("other", { createIfMissing: true });
    await other.writeFile("a", "a");
    await expect(sandbox.commit(other)).rejects.toThrow(NotFoundError);
    await expect(sandbox.reload(other)).rejects.toThrow(/no volume other; it has own/);
    const bare = await Sandbox.create();
    await expect(bare.commit(data)).rejects.toThrow(/no volume own; it has none/);
    await expect(bare.reload(data)).rejects.toThrow(/no volume own; it has none/);
    await Promise.all([sandbox.terminate(), bare.terminate()]);
  });
});
