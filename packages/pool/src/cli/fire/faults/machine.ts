/** What the faults need of the machine, and the words for what it lacks: a network namespace, a small disk, another clock. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Runs a program; its words when it fails. */
function tried(file: string, ...args: string[]): string | undefined {
  try {
    execFileSync(file, args, { stdio: ["ignore", "ignore", "pipe"] });
    return undefined;
  } catch (error) {
    const { stderr, message } = error as { readonly stderr?: Buffer; readonly message: string };
    return stderr?.toString().trim() || message;
  }
}

const HOST = "10.213.77.1";
const POOL = "10.213.77.2";
const LOSS = "5%";

/** A network of two ends: this one, and a namespace in which the pool runs. */
export class Namespace {
  readonly host = HOST;
  readonly pool = POOL;
  readonly #name = `openprime-${process.pid}`;
  readonly #link = `opf${process.pid % 100_000}`;
  readonly #table = `openprime_${process.pid}`;
  #kernelHasNetem = true;

  get prefix(): string[] {
    return ["ip", "netns", "exec", this.#name];
  }

  /** @returns the namespace, or why there is none */
  static make(): Namespace | string {
    if (process.platform !== "linux" || process.getuid?.() !== 0) return "needs root on Linux";
    const space = new Namespace();
    const inside = ["-n", space.#name];
    const peer = `${space.#link}p`;
    for (const args of [
      ["netns", "add", space.#name],
      ["link", "add", space.#link, "type", "veth", "peer", "name", peer, "netns", space.#name],
      ["addr", "add", `${HOST}/30`, "dev", space.#link],
      ["link", "set", space.#link, "up"],
      [...inside, "addr", "add", `${POOL}/30`, "dev", peer],
      [...inside, "link", "set", peer, "up"],
      [...inside, "link", "set", "lo", "up"],
    ]) {
      const why = tried("ip", ...args);
      if (why === undefined) continue;
      space.remove();
      return `ip ${args.join(" ")}: ${why}`;
    }
    return space;
  }

  /** Late and with losses, by netem; a kernel without it loses by nftables. @returns why it can't be, undefined when it is */
  lose(): string | undefined {
    const why = tried("tc", "qdisc", "add", "dev", this.#link, "root", "netem", "delay", "80ms", "30ms", "loss", LOSS);
    this.#kernelHasNetem = why === undefined;
    if (why === undefined) return undefined;
    const table = ["inet", this.#table];
    const rule = (chain: string, side: string): string[] => [
      "add",
      "rule",
      ...table,
      chain,
      side,
      this.#link,
      "numgen",
      "random",
      "mod",
      "100",
      "<",
      "5",
      "drop",
    ];
    const chain = (name: string, hook: string): string[] => ["add", "chain", ...table, name, `{ type filter hook ${hook} priority 0; }`];
    const without = [
      ["add", "table", ...table],
      chain("in", "input"),
      rule("in", "iifname"),
      chain("out", "output"),
      rule("out", "oifname"),
    ]
      .map((args) => tried("nft", ...args))
      .find((said) => said !== undefined);
    return without === undefined ? undefined : `no netem (${why}), no nftables (${without})`;
  }

  /** A line of 256 kbit/s towards the pool. @returns why it can't be */
  narrow(): string | undefined {
    return tried("tc", "qdisc", "add", "dev", this.#link, "root", "tbf", "rate", "256kbit", "burst", "8kb", "latency", "400ms");
  }

  /** A good line again. */
  mend(): void {
    tried("tc", "qdisc", "del", "dev", this.#link, "root");
    if (!this.#kernelHasNetem) tried("nft", "delete", "table", "inet", this.#table);
    this.#kernelHasNetem = true;
  }

  /** The cable is pulled: nothing is told to anybody. */
  unplug(): void {
    tried("ip", "link", "set", this.#link, "down");
  }

  plug(): void {
    tried("ip", "link", "set", this.#link, "up");
  }

  remove(): void {
    this.mend();
    tried("ip", "link", "del", this.#link);
    tried("ip", "netns", "del", this.#name);
  }
}

/** A disk so small that it can be filled. */
export class SmallDisk {
  private constructor(readonly dir: string) {}

  /** @returns the disk, or why there is none */
  static make(dir: string): SmallDisk | string {
    if (process.platform !== "linux" || process.getuid?.() !== 0) return "needs root on Linux";
    mkdirSync(dir);
    const why = tried("mount", "-t", "tmpfs", "-o", "size=400m,mode=0755", "openprime-faults", dir);
    return why === undefined ? new SmallDisk(dir) : `mount: ${why}`;
  }

  /** Nothing more can be written to it. */
  fill(): void {
    const { bavail, bsize } = statfsSync(this.dir);
    try {
      writeFileSync(join(this.dir, "ballast"), Buffer.alloc(bavail * bsize));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    }
  }

  free(): void {
    rmSync(join(this.dir, "ballast"), { force: true });
  }

  remove(): void {
    tried("umount", "-l", this.dir);
  }
}

const FAKETIME_DIRS = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];
const FAKETIME = "faketime/libfaketime.so.1";

/** libfaketime's clock (Debian's package `libfaketime`): wall time jumps, the steady clock does not. */
export class JumpyClock {
  private constructor(
    private readonly library: string,
    private readonly file: string,
  ) {
    this.set(0);
  }

  /** @returns the clock, or why there is none */
  static make(file: string): JumpyClock | string {
    const library = [process.env.OPENPRIME_LIBFAKETIME ?? "", ...FAKETIME_DIRS.flatMap(candidates)].find(
      (path) => path !== "" && existsSync(path),
    );
    return library === undefined
      ? "needs libfaketime (Debian: libfaketime; or its path in OPENPRIME_LIBFAKETIME)"
      : new JumpyClock(library, file);
  }

  get env(): Record<string, string> {
    return { LD_PRELOAD: this.library, FAKETIME_TIMESTAMP_FILE: this.file, FAKETIME_NO_CACHE: "1", DONT_FAKE_MONOTONIC: "1" };
  }

  /** Seconds off the true time. */
  set(seconds: number): void {
    writeFileSync(this.file, `${seconds < 0 ? "-" : "+"}${Math.abs(seconds)}\n`, { mode: 0o644 });
  }
}

function candidates(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return [dir, ...readdirSync(dir, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [join(dir, entry.name)] : []))].map(
    (one) => join(one, FAKETIME),
  );
}
