// A process of its own for kill.test.ts: appends shares to a ledger as fast as they are committed and prints what was acknowledged.
// Usage: node appender.mjs '<database options as JSON>' <first number>. Lines on stdout: "ready", "<number> <outcome>"; SIGTERM ends it cleanly.
// It runs the built program (dist/), because a killed process must be a real one.
import { createHash } from "node:crypto";
import { openDatabase, ShareLog } from "../../dist/ledger/index.js";

const options = JSON.parse(process.argv[2]);
let number = Number(process.argv[3]);
const say = (level) => (fields, message) => process.stderr.write(`${level} ${message} ${JSON.stringify(fields)}\n`);
const sha256 = (text) => Uint8Array.from(createHash("sha256").update(text).digest());

const database = await openDatabase(options, { log: { info: say("info"), warn: say("warn"), error: say("error") } });
const log = await ShareLog.open(database, { operatorScript: Uint8Array.from([0x51]), gatherMs: 2 });
process.stdout.write("ready\n");

let stopping = false;
process.on("SIGTERM", () => {
  stopping = true;
});

const accounts = Array.from({ length: 5 }, (_, i) => Uint8Array.from([0, 20, ...sha256(`account ${i}`).subarray(0, 20)]));
let open = 0;
function feed() {
  while (!stopping && open < 200) {
    const mine = number++;
    const taken = log.append(
      {
        hash: sha256(`share ${mine}`),
        prevhash: sha256(`parent ${Math.floor(mine / 5000)}`),
        account: accounts[mine % 5],
        address: "test",
        worker: `w${mine % 3}`,
        weight: 16n,
        feePpm: 10_000,
        sessionId: 1n,
        splitId: undefined,
        pin: log.head(),
        ntime: 1,
        targetByte: 4,
        coinbaseId: 0,
        height: 1,
        tentative: false,
        receivedAt: Date.now(),
      },
      (outcome) => {
        open--;
        process.stdout.write(`${mine} ${outcome}\n`);
      },
    );
    if (!taken) throw new Error("the queue is full");
    open++;
  }
  if (!stopping) setTimeout(feed, 1);
  else {
    log
      .close()
      .then(() => database.close())
      .then(() => process.exit(0));
  }
}
feed();
