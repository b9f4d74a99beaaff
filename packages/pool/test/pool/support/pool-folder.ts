/** A folder made by `openprime init`, as an operator has it: configuration, keys, and the node's cookie. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { minerAddress, type RpcAccess } from "@openprime/simulator";
import { expect, onTestFinished } from "vitest";
import { Command, lives, postmaster } from "./command.js";

export class PoolFolder {
  readonly path = mkdtempSync(join(tmpdir(), "openprime-serve-"));
  readonly configFile = join(this.path, "openprime.yaml");
  readonly dataDir = join(this.path, "openprime-data");

  /** Runs `openprime init` and does what it says is to be done next: tells where the node is. */
  static async init(node: RpcAccess): Promise<PoolFolder> {
    const folder = new PoolFolder();
    onTestFinished(() => folder.#remove());
    const init = new Command(["init", "--dir", folder.path, "--network", "regtest", "--payout-address", minerAddress("pool", 0)]);
    expect(await init.ended, init.stderr).toBe(0);
    folder.setNode(node);
    folder.set("host", "127.0.0.1");
    folder.set("port", "0");
    folder.set("minimumDifficulty", "1");
    folder.set("pollSeconds", "0.2");
    // Judged in templates.test.ts: elsewhere a share is to be accepted at once.
    folder.set("check", "off");
    return folder;
  }

  setNode({ url, user, password }: RpcAccess): void {
    writeFileSync(join(this.path, "cookie"), `${user}:${password}`);
    this.set("url", url);
    this.set("cookieFile", "cookie");
  }

  /** Sets the first setting of that name, commented out or not. */
  set(name: string, value: string): void {
    writeFileSync(this.configFile, withSetting(readFileSync(this.configFile, "utf8"), name, value));
  }

  /** Another configuration file beside it, with these settings. */
  variant(settings: Readonly<Record<string, string>>): string {
    const dir = mkdtempSync(join(this.path, "variant-"));
    const file = join(dir, "openprime.yaml");
    let text = readFileSync(this.configFile, "utf8");
    for (const [name, value] of Object.entries(settings)) text = withSetting(text, name, value);
    writeFileSync(file, text);
    return file;
  }

  /** @param listenFd a listening socket of ours that it is handed, as systemd does */
  serve(env: Readonly<Record<string, string>> = {}, configFile = this.configFile, listenFd?: number): Command {
    return new Command(["serve", "--config", configFile], env, listenFd);
  }

  #remove(): void {
    // A test that failed may have left the server of a pool that it killed.
    const pid = postmaster(this.dataDir);
    if (pid !== undefined && lives(pid)) process.kill(pid, "SIGKILL");
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5 });
  }
}

function withSetting(text: string, name: string, value: string): string {
  const line = new RegExp(`^( *)(# )?${name}:.*$`, "m");
  expect(text).toMatch(line);
  return text.replace(line, `$1${name}: ${value}`);
}
