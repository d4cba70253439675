/**
 * One leader among the replicas of a control plane, by a lease in Redis with fencing tokens.
 *
 * Each replica asks for the lease; who has it renews it and works. A lease that is not renewed
 * ends, and the next holder gets a higher token. The lease alone is no guarantee (a process may
 * sleep through its end and wake up working), so every write to the node ledger names the token
 * and is refused once a higher one was claimed there. A new leader claims before it decides.
 *
 * Tokens go on from the highest one the record store knows, so a Redis that lost its data deposes
 * nobody for long. Time is measured from before each renewal, so a slow answer shortens the lease
 * here and never lengthens it.
 */
import type { Redis } from "ioredis";
import { messageOf, PlatformError, type Clock } from "../../core/index.ts";
import type { Fence, FenceStore } from "../store/record-store.ts";

export interface LeadershipOptions {
  readonly redis: Redis;
  readonly fences: FenceStore;
  readonly clock: Clock;
  /** What is led; names the lease and the fence. */
  readonly name: string;
  /** This replica: another one has another name, the same one after a restart the same. */
  readonly holder: string;
  readonly leaseMs?: number;
  /** Leadership began or ended. */
  readonly onChange: (change: "leads" | "follows") => void;
  readonly onError: (error: unknown, doing: string) => void;
}

const LEASE_MS = 10_000;
/** Renewed when this part of it has passed. */
const RENEW_FRACTION = 1 / 3;
/** Given up here so long before Redis gives it away. */
const MARGIN_FRACTION = 1 / 10;

/**
 * Takes a free lease, or one of our own name from before a restart, under a new token.
 * Keys: lease, counter. Arguments: holder, lease in ms, highest token known.
 */
const TAKE = `
local held = redis.call("GET", KEYS[1])
if held then
  local holder = string.match(held, "^%d+ (.*)$")
  if holder ~= ARGV[1] then return {0, holder or ""} end
end
local token = math.max(tonumber(redis.call("GET", KEYS[2]) or "0"), tonumber(ARGV[3])) + 1
redis.call("SET", KEYS[2], token)
redis.call("SET", KEYS[1], token .. " " .. ARGV[1], "PX", ARGV[2])
return {token, ARGV[1]}`;

/** Renews our lease; 0 when it is no longer ours. Keys: lease. Arguments: value, lease in ms. */
const RENEW = `
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call("PEXPIRE", KEYS[1], ARGV[2])`;

/** Ends our lease at once. Keys: lease. Arguments: value. */
const END = `
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call("DEL", KEYS[1])`;

/** The right of this replica to lead, as far as it knows. */
export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #leaseMs: number;
  #fence: Fence | undefined;
  #renewedAtMs = 0;
  #leader: string | undefined;

  constructor(options: LeadershipOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
  }

  /** The token to write under; undefined while another replica leads, or nobody is known to. */
  get fence(): Fence | undefined {
    return this.#isCurrent() ? this.#fence : undefined;
  }

  /** Who leads, as far as is known. */
  get leader(): string | undefined {
    return this.#leader;
  }

  /** Renews or asks for the lease when it is time; gives the fence while this replica leads. */
  async lead(): Promise<Fence | undefined> {
    const { clock, onError, name } = this.#options;
    const age = clock.nowMs() - this.#renewedAtMs;
    const isFresh = this.#isCurrent() && age < this.#leaseMs * RENEW_FRACTION;
    if (isFresh) return this.#fence;
    try {
      if (this.#fence !== undefined && (await this.#renew(this.#fence))) return this.#fence;
      await this.#take();
    } catch (error) {
      onError(error, `asking for the lease of ${name}`);
    }
    if (this.#fence !== undefined && !this.#isCurrent()) this.#follow(undefined);
    return this.fence;
  }

  /** A write was refused: another replica leads. */
  deposed(): void {
    this.#follow(undefined);
  }

  /** Gives the lease to whoever asks next. */
  async close(): Promise<void> {
    const { redis, onError, name } = this.#options;
    const fence = this.#fence;
    this.#fence = undefined;
    if (fence === undefined) return;
    try {
      await redis.eval(END, 1, this.#leaseKey(), this.#valueOf(fence));
    } catch (error) {
      onError(messageOf(error), `giving up the lease of ${name}`);
    }
  }

  async #renew(fence: Fence): Promise<boolean> {
    const { redis, clock } = this.#options;
    const atMs = clock.nowMs();
    const done = await redis.eval(
      RENEW,
      1,
      this.#leaseKey(),
      this.#valueOf(fence),
      String(this.#leaseMs),
    );
    if (done !== 1) {
      this.#follow(undefined);
      return false;
    }
    this.#renewedAtMs = atMs;
    return true;
  }

  async #take(): Promise<void> {
    const { redis, fences, clock, name, holder } = this.#options;
    const highest = await fences.current(name);
    const atMs = clock.nowMs();
    const answer: unknown = await redis.eval(
      TAKE,
      2,
      this.#leaseKey(),
      `${this.#leaseKey()}:token`,
      holder,
      String(this.#leaseMs),
      String(highest),
    );
    const [token, leader] = Array.isArray(answer) ? (answer as readonly unknown[]) : [];
    if (typeof token !== "number" || token === 0) {
      this.#follow(typeof leader === "string" ? leader : undefined);
      return;
    }
    const fence = { name, token };
    await this.#claim(fence);
    this.#fence = fence;
    this.#renewedAtMs = atMs;
    this.#leader = holder;
    this.#options.onChange("leads");
  }

  /** From here on whoever led before is refused. */
  async #claim(fence: Fence): Promise<void> {
    try {
      await this.#options.fences.claim(fence);
    } catch (error) {
      if (error instanceof PlatformError && error.code === "conflict") this.#follow(undefined);
      throw error;
    }
  }

  #follow(leader: string | undefined): void {
    const led = this.#fence !== undefined;
    this.#fence = undefined;
    this.#leader = leader;
    if (led) this.#options.onChange("follows");
  }

  #isCurrent(): boolean {
    if (this.#fence === undefined) return false;
    const age = this.#options.clock.nowMs() - this.#renewedAtMs;
    return age >= 0 && age < this.#leaseMs * (1 - MARGIN_FRACTION);
  }

  #leaseKey(): string {
    return `flotilla:{lease:${this.#options.name}}`;
  }

  #valueOf({ token }: Fence): string {
    return `${token} ${this.#options.holder}`;
  }
}
