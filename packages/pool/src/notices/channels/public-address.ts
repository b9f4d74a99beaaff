/**
 * Which addresses a miner's webhook may be at: those of the public internet. A pool that would fetch any URL for its miners would be their hand inside
 * the operator's network, so the name is looked up here, and the connection goes to the very address that was judged.
 */
import { type LookupAddress, type LookupOptions, lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { NoticeError } from "../errors.js";

/** Not for the public internet (IANA's special-purpose registries), multicast, and forms of IPv6 that carry an IPv4 address. */
const CLOSED = new BlockList();
for (const [net, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const) {
  CLOSED.addSubnet(net, prefix, "ipv4");
}
/** Of IPv6 only global unicast is open, and of that not what is set apart. */
const GLOBAL = new BlockList();
GLOBAL.addSubnet("2000::", 3, "ipv6");
for (const [net, prefix] of [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const) {
  CLOSED.addSubnet(net, prefix, "ipv6");
}

/** Whether an IP address belongs to the public internet. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !CLOSED.check(address, "ipv4");
  if (family === 6) return GLOBAL.check(address, "ipv6") && !CLOSED.check(address, "ipv6");
  return false;
}

/** Looks names up as the system does. */
export type Resolve = (
  hostname: string,
  options: LookupOptions & { all: true },
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** A lookup for sockets that answers public addresses only; when a name has any other, none: such a name is a trick, or a mistake. */
export function publicLookup(resolve: Resolve = lookup as unknown as Resolve): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error !== null || first === undefined) {
        callback(error ?? new Error("the name has no address"), "", 0);
      } else if (!addresses.every(({ address }) => isPublicAddress(address))) {
        callback(privateTarget(), "", 0);
      } else if (options.all === true) {
        callback(null, addresses);
      } else {
        callback(null, first.address, first.family);
      }
    });
  };
}

export function privateTarget(): NoticeError {
  const message = "the webhook is not on the public internet: notices.privateWebhooks can allow that";
  return new NoticeError("notices.privateTarget", message);
}
