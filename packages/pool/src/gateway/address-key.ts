/** What counts as one address, and as one network, for limits and bans. */

/** IPv4 as it is, also when mapped into IPv6 (however that is written); an IPv6 address without its zone. */
export function plainAddress(address: string): string {
  const plain = address.split("%")[0]!;
  if (!plain.includes(":")) return plain;
  const groups = groupsOf(plain);
  const mapped = groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
  return mapped ? dotted(groups[6]!, groups[7]!) : plain;
}

/** IPv4 as it is; of IPv6 the /64, since a single customer holds at least that. */
export function addressKey(address: string): string {
  const plain = plainAddress(address);
  return plain.includes(":") ? `${hex(groupsOf(plain).slice(0, 4))}::/64` : plain;
}

/** The network that an address lies in: the /24 of IPv4, the /48 of IPv6, which is what one site is given. */
export function prefixKey(address: string): string {
  const plain = plainAddress(address);
  return plain.includes(":") ? `${hex(groupsOf(plain).slice(0, 3))}::/48` : `${plain.slice(0, plain.lastIndexOf("."))}.0/24`;
}

/** The eight 16-bit groups of an IPv6 address that the system, or a check before this one, took for one. */
function groupsOf(address: string): number[] {
  const [head = "", tail] = address.split("::");
  const front = groups(head);
  if (tail === undefined) return front;
  const back = groups(tail);
  return [...front, ...Array<number>(Math.max(0, 8 - front.length - back.length)).fill(0), ...back];
}

function groups(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (!group.includes(".")) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

const hex = (parts: readonly number[]): string => parts.map((group) => group.toString(16)).join(":");
const dotted = (high: number, low: number): string => `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
