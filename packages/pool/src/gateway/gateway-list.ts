/**
 * Which gateways a pool takes: all, or those on a list. A gateway is on it by its long-term key, or by its miners: one whose key is not listed
 * may come in where accounts are, and stays for as long as all its accepted work is theirs.
 */

export interface GatewayListOptions {
  readonly admit: "all" | "listed";
  /** Long-term signing keys, lower-case hex. */
  readonly keys: readonly string[];
  /** scriptPubKeys of accounts whose miners may come by any gateway. */
  readonly accounts: readonly Uint8Array[];
}

/** Taken; taken for as long as its accounts are approved; or not. */
export type GatewayStanding = "taken" | "byAccount" | "refused";

export class GatewayList {
  readonly #keys: ReadonlySet<string>;
  readonly #accounts: ReadonlySet<string>;

  constructor(private readonly options: GatewayListOptions) {
    this.#keys = new Set(options.keys);
    this.#accounts = new Set(options.accounts.map(text));
  }

  /** @param key long-term signing key, lower-case hex */
  standing(key: string): GatewayStanding {
    if (this.options.admit === "all" || this.#keys.has(key)) return "taken";
    return this.#accounts.size > 0 ? "byAccount" : "refused";
  }

  approves(account: Uint8Array): boolean {
    return this.#accounts.has(text(account));
  }
}

/** What a gateway that is not listed is told; it can't know by itself why it is closed. */
export function notListed(key: string): string {
  return `This pool takes listed gateways only. Ask its operator to list the key of yours: ${key}`;
}

export const ACCOUNT_NOT_LISTED = "This pool takes work of listed accounts only, and a username of your miners is none of them.";

const text = (script: Uint8Array): string => Buffer.from(script.buffer, script.byteOffset, script.byteLength).toString("latin1");
