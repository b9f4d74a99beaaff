/** Every attack: what one action of it is, and how many a second. Rates are bounded, so that the guards are tried and not the processor's share. */
import { randomBytes } from "node:crypto";
import { type GatewayMessage, generateLongTermKeys, LARGEST_PAYLOAD, type LongTermKeys } from "@openprime/datum";
import { minerAddress } from "../gateway/addresses.js";
import { Job } from "../gateway/job.js";
import type { Template } from "../gateway/template.js";
import type { Hostile, HostileGateway } from "./hostile.js";
import { ShareMaker } from "./shares.js";

/** One action; false when it could not be done now. */
type Action = () => boolean | Promise<boolean>;

export interface Attack {
  readonly name: string;
  /** What an action is. */
  readonly what: string;
  /** Actions a second at most. */
  readonly rate: number;
  begin(hostile: Hostile, template: Template): Action | Promise<Action>;
}

const CHUNK = randomBytes(64 * 1024);
const HELLO_FLAGS = 0x0b000000;
const HELLO_KEY = 0xdc871829;

/** A socket that is told these bytes. */
const told = (name: string, what: string, rate: number, bytes: () => Uint8Array): Attack => ({
  name,
  what,
  rate,
  begin: (hostile) => () => {
    const socket = hostile.dial();
    socket?.write(bytes());
    return socket !== undefined;
  },
});

/** A gateway that is let in and sends messages; another one takes its place when the pool ends it. */
const inside = (
  name: string,
  what: string,
  rate: number,
  message: (gateway: HostileGateway, maker: ShareMaker, number: number) => GatewayMessage | Uint8Array,
  begun: (gateway: HostileGateway) => void = () => undefined,
): Attack => ({
  name,
  what,
  rate,
  begin: (hostile, template) => {
    let gateway: HostileGateway | undefined;
    let maker: ShareMaker | undefined;
    let opening = false;
    let number = 0;
    return () => {
      if (gateway?.open === true && maker !== undefined) {
        if (!gateway.writable) return false;
        const next = message(gateway, maker, number++);
        if (next instanceof Uint8Array) gateway.socket.write(next);
        else gateway.send(next);
        return true;
      }
      if (!opening) {
        opening = true;
        void hostile.gateway().then((opened) => {
          opening = false;
          gateway = opened;
          maker = opened && new ShareMaker(template, opened.configuration);
          number = 0;
          if (opened !== undefined) begun(opened);
        });
      }
      return false;
    };
  },
});

function helloHeader(length: number): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32LE(((HELLO_FLAGS | length) ^ HELLO_KEY) >>> 0, 0);
  return header;
}

const proxyHeader = (number: number): Uint8Array => {
  if (number % 2 === 0) return Buffer.from(`PROXY TCP4 10.0.${number % 250}.1 10.0.0.2 ${1024 + number} 23334\r\n`);
  const v2 = Buffer.from("0d0a0d0a000d0a515549540a2111000c", "hex");
  return Buffer.concat([v2, Buffer.from([10, 0, number % 250, 1, 10, 0, 0, 2]), randomBytes(4)]);
};

function announcement(gateway: HostileGateway, template: Template, number: number): GatewayMessage {
  const job = new Job(template, number % 8, number & 0xffff, {
    configuration: gateway.configuration,
    secondaryTag: new Uint8Array(0),
    uniqueId: 9,
  });
  const coinbases = [0, 1, 2, 3, 4, 5].map((coinbaseId) => ({
    coinbaseId,
    coinb1: CHUNK.subarray(0, 200),
    coinb2: CHUNK.subarray(0, 5000),
  }));
  return { type: "jobAnnouncement", jobId: job.slot, job: { ...job.jobSection(), prevhash: randomBytes(32) }, coinbases };
}

let proxies = 0;

export const ATTACKS: readonly Attack[] = [
  told("connection flood", "a connection that says nothing", 300, () => new Uint8Array(0)),
  {
    name: "slow HELLO",
    what: "one byte of a HELLO, of 300 at a time",
    rate: 300,
    begin: (hostile) => {
      const slow: { socket: ReturnType<Hostile["dial"]>; bytes: Uint8Array; at: number }[] = [];
      let turn = 0;
      return () => {
        const place = turn++ % 300;
        const one = slow[place];
        if (one?.socket !== undefined && !one.socket.destroyed && one.at < one.bytes.length) {
          one.socket.write(one.bytes.subarray(one.at, ++one.at));
          return true;
        }
        const socket = hostile.dial();
        slow[place] = { socket, bytes: hostile.hello().bytes, at: 0 };
        return socket !== undefined;
      };
    },
  },
  told("garbage", "a connection and 4 kB of random bytes", 200, () => randomBytes(4096)),
  {
    name: "HELLO flood",
    what: "a valid HELLO of a fresh gateway",
    rate: 150,
    begin: (hostile) => () => {
      const socket = hostile.dial();
      socket?.write(hostile.hello().bytes);
      return socket !== undefined;
    },
  },
  {
    name: "replayed HELLOs",
    what: "the HELLO of another connection",
    rate: 200,
    begin: (hostile) => {
      const { bytes } = hostile.hello();
      return () => {
        const socket = hostile.dial();
        socket?.write(bytes);
        return socket !== undefined;
      };
    },
  },
  told("huge HELLOs", "a HELLO of 4 MB, as far as the pool reads it", 100, () => Buffer.concat([helloHeader(LARGEST_PAYLOAD), CHUNK])),
  inside("4 MB frames unasked", "64 kB of a 4 MB frame", 100, (gateway, _maker, number) =>
    number % 64 === 0 ? Buffer.concat([gateway.channel.bare({ length: LARGEST_PAYLOAD }), CHUNK]) : CHUNK,
  ),
  inside("split flood", "a question for a split", 500, (_gateway, _maker, number) => ({
    type: "coinbaserRequest",
    value: 5_000_000_000n + BigInt(number),
    prevhash: randomBytes(32),
  })),
  inside("bad shares", "a share that is refused, for ten reasons in turn", 600, (_gateway, maker, number) => maker.bad(number)),
  inside("good shares", "a share of the least difficulty", 800, (_gateway, maker) => maker.good()),
  inside(
    "slow reader",
    "a question for a split, the answers left unread",
    500,
    () => ({ type: "coinbaserRequest", value: 5_000_000_000n, prevhash: new Uint8Array(32) }),
    (gateway) => gateway.socket.pause(),
  ),
  {
    ...inside("announcements", "a job of 31 kB announced", 60, () => new Uint8Array(0)),
    begin: (hostile, template) =>
      inside("", "", 60, (gateway, _maker, number) => announcement(gateway, template, number)).begin(hostile, template),
  },
  inside("accounts and workers", "a good share of a new address and worker", 300, (_gateway, maker, number) =>
    maker.good(`${minerAddress("crowd", number)}.${"w".repeat(60)}${number}`),
  ),
  {
    name: "reconnect storm",
    what: "a whole handshake of one of 50 gateways, and its end",
    rate: 100,
    begin: (hostile) => {
      const keys: LongTermKeys[] = Array.from({ length: 50 }, () => generateLongTermKeys(hostile.crypto));
      let turn = 0;
      return () => {
        void hostile.gateway(keys[turn++ % keys.length]).then((gateway) => gateway?.socket.destroy());
        return true;
      };
    },
  },
  inside("false blocks", "a block on a parent that nobody knows", 100, (_gateway, maker) => maker.falseBlock()),
  told("PROXY headers", "a PROXY header of a stranger, v1 and v2", 200, () => proxyHeader(proxies++)),
];
