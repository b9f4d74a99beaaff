/**
 * Who may hold a connection: lists, bans, and how many there are in all, from one address and from one network.
 *
 * Where there is no room, those give way who have not said what they are: first connections that have sent no whole HELLO for a second, then,
 * where all places are taken, the oldest without accepted work of the network that holds the most. A good gateway never does.
 */
import { AddressList } from "./address-list.js";
import type { BanScope, Bans } from "./bans.js";
import { KeyedBuckets } from "./keyed-buckets.js";
import type { KnownAddresses } from "./known-addresses.js";
import type { GatewayLimits } from "./options.js";

/** Where a connection comes from, as the limits see it. */
export interface Origin {
  readonly address: string;
  /** Of `address-key.ts`. */
  readonly key: string;
  readonly prefix: string;
  /** On the allow list, or a proxy of ours: neither banned nor limited by address and network. */
  readonly exempt: boolean;
}

export type AdmissionRefusal = "denied" | "banned" | "tooManyConnections" | "tooManyFromAddress" | "tooManyFromPrefix";

/** What a connection has shown: nothing whole, a HELLO, accepted work. */
export type Standing = "greeting" | "stranger" | "good";

/** A connection, as far as it can be asked to give way. */
export interface Guest {
  readonly standing: Standing;
  /** Steady milliseconds. */
  readonly since: number;
  /** Closes at once. */
  giveWay(): void;
}

/** Time to send a HELLO before somebody else may want the place. */
const GREETING_MS = 1000;
/** Time to have a share accepted, likewise. */
const STRANGER_MS = 30_000;
/** Connections that a banned address still gets for each good gateway behind it: at once, and per second after that. */
const TRICKLE_BURST = 10;
const TRICKLE_PER_SECOND = 1;
const TRICKLE_ADDRESSES = 10_000;

export interface AdmissionModules {
  readonly bans: Bans;
  readonly known: KnownAddresses;
  /** Steady milliseconds. */
  readonly monotonic: () => number;
}

export class Admission {
  readonly #guests = new Map<Guest, Origin>();
  readonly #byKey = new Map<string, Set<Guest>>();
  readonly #byPrefix = new Map<string, Set<Guest>>();
  readonly #allow: AddressList;
  readonly #deny: AddressList;
  readonly #trickle = new KeyedBuckets(TRICKLE_BURST, TRICKLE_PER_SECOND, TRICKLE_ADDRESSES);

  constructor(
    private readonly limits: Pick<GatewayLimits, "connections" | "connectionsPerAddress" | "connectionsPerPrefix">,
    lists: { readonly allow: readonly string[]; readonly deny: readonly string[] },
    private readonly modules: AdmissionModules,
  ) {
    this.#allow = new AddressList(lists.allow);
    this.#deny = new AddressList(lists.deny);
  }

  /** Whether the address is on the allow list. */
  allowed(address: string): boolean {
    return this.#allow.has(address);
  }

  /** Why a connection from there may not be, if so. One that may has its place from `enter` on. */
  refusal(origin: Origin): AdmissionRefusal | undefined {
    const { connections, connectionsPerAddress, connectionsPerPrefix } = this.limits;
    const now = this.modules.monotonic();
    if (!origin.exempt) {
      if (this.#deny.has(origin.address)) return "denied";
      if (this.#banned(origin, now)) return "banned";
      if (!this.#room(this.#byKey.get(origin.key), connectionsPerAddress, now)) return "tooManyFromAddress";
      if (!this.#room(this.#byPrefix.get(origin.prefix), connectionsPerPrefix, now)) return "tooManyFromPrefix";
    }
    if (this.#guests.size < connections || this.#evictGreeting(this.#guests.keys(), now) || this.#evictStranger(origin, now)) {
      return undefined;
    }
    return "tooManyConnections";
  }

  enter(guest: Guest, origin: Origin): void {
    this.#guests.set(guest, origin);
    if (origin.exempt) return;
    add(this.#byKey, origin.key, guest);
    add(this.#byPrefix, origin.prefix, guest);
  }

  leave(guest: Guest): void {
    const origin = this.#guests.get(guest);
    if (origin === undefined) return;
    this.#guests.delete(guest);
    remove(this.#byKey, origin.key, guest);
    remove(this.#byPrefix, origin.prefix, guest);
  }

  /** Something went wrong with a peer. @returns what is banned from now on */
  note(origin: Origin, points: number): BanScope[] {
    return origin.exempt ? [] : this.modules.bans.note(origin.key, origin.prefix, points, this.modules.monotonic());
  }

  /** Whether gateways with accepted work came from there lately, and no trouble did. */
  known({ key, prefix }: Origin): boolean {
    const now = this.modules.monotonic();
    return this.modules.known.gateways(key, now) > 0 && !this.modules.bans.banned(key, prefix, now);
  }

  /** Good gateways behind a banned address still come in, a few at a time. */
  #banned({ key, prefix }: Origin, now: number): boolean {
    const { bans, known } = this.modules;
    if (!bans.banned(key, prefix, now)) return false;
    const gateways = known.gateways(key, now);
    return gateways === 0 || !this.#trickle.take(key, now, 1 / gateways);
  }

  #room(guests: ReadonlySet<Guest> | undefined, most: number, now: number): boolean {
    return guests === undefined || guests.size < most || this.#evictGreeting(guests.values(), now);
  }

  /** `guests` with the oldest first. */
  #evictGreeting(guests: Iterable<Guest>, now: number): boolean {
    for (const guest of guests) {
      if (now - guest.since < GREETING_MS) return false;
      if (guest.standing === "greeting") return this.#evict(guest);
    }
    return false;
  }

  /** Only of a network that holds more places than the newcomer's would. */
  #evictStranger(newcomer: Origin, now: number): boolean {
    let most = this.#byPrefix.get(newcomer.prefix)?.size ?? 0;
    let largest: Set<Guest> | undefined;
    for (const guests of this.#byPrefix.values()) {
      if (guests.size <= most + 1) continue;
      most = guests.size;
      largest = guests;
    }
    for (const guest of largest ?? []) {
      if (now - guest.since < STRANGER_MS) return false;
      if (guest.standing !== "good") return this.#evict(guest);
    }
    return false;
  }

  #evict(guest: Guest): true {
    this.leave(guest);
    guest.giveWay();
    return true;
  }
}

function add(map: Map<string, Set<Guest>>, key: string, guest: Guest): void {
  const guests = map.get(key);
  if (guests === undefined) map.set(key, new Set([guest]));
  else guests.add(guest);
}

function remove(map: Map<string, Set<Guest>>, key: string, guest: Guest): void {
  const guests = map.get(key);
  guests?.delete(guest);
  if (guests?.size === 0) map.delete(key);
}
