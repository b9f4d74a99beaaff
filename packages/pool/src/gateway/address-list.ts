/** Lists of addresses and networks, IPv4 and IPv6: whom to let in, whom to keep out, which proxies to believe. */
import { BlockList, isIPv4, isIPv6 } from "node:net";
import { plainAddress } from "./address-key.js";

/** Whether that is an address, or a network as ADDRESS/BITS. An IPv4 address mapped into IPv6 is written as IPv4, not as a network of IPv6. */
export function isNetwork(text: string): boolean {
  return parse(text) !== undefined;
}

export class AddressList {
  readonly #list = new BlockList();

  /** @param networks each as {@link isNetwork} takes it; others are an error of the caller's: RangeError */
  constructor(networks: readonly string[]) {
    for (const text of networks) {
      const network = parse(text);
      if (network === undefined) throw new RangeError(`no address or network: ${text}`);
      this.#list.addSubnet(network.address, network.bits, network.family);
    }
  }

  has(address: string): boolean {
    const plain = plainAddress(address);
    return this.#list.check(plain, plain.includes(":") ? "ipv6" : "ipv4");
  }
}

function parse(text: string): { address: string; bits: number; family: "ipv4" | "ipv6" } | undefined {
  const match = /^([0-9a-fA-F.:]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text);
  if (match === null) return undefined;
  const given = match[1]!;
  const address = plainAddress(given);
  const family = isIPv4(address) ? "ipv4" : isIPv6(address) ? "ipv6" : undefined;
  if (family === undefined) return undefined;
  const width = family === "ipv4" ? 32 : 128;
  const bits = match[2] === undefined ? width : Number(match[2]);
  // Bits of a mapped address would count from the IPv6 part: nobody means that.
  if (bits > width || (given !== address && match[2] !== undefined)) return undefined;
  return { address, bits, family };
}
