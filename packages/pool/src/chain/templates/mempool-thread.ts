/**
 * Worker thread: the node's mempool, followed, kept and searched here, so that neither a large answer of the node nor the matching of a
 * job ever holds up a share.
 */
import { parentPort, type TransferListItem, workerData } from "node:worker_threads";
import { NodeClient } from "@openprime/bitcoin";
import { ShortIdMatcher } from "@openprime/datum";
import { flatten, unflatten } from "./flat-bytes.js";
import { MempoolFollower } from "./mempool-follower.js";
import type {
  MempoolAnswers,
  MempoolFigures,
  MempoolOrder,
  MempoolQuestion,
  MempoolReport,
  MempoolThreadOptions,
} from "./mempool-messages.js";
import { keyOf, MempoolStore } from "./mempool-store.js";

/** How often the figures are told, when they have changed. */
const FIGURES_MS = 500;

if (parentPort === null) throw new Error("mempool-thread.js is a worker thread's program");
const port = parentPort;
const options = workerData as MempoolThreadOptions;
const node = new NodeClient(options.node);
const store = new MempoolStore(options.limits, await ShortIdMatcher.create());
const now = (): number => performance.now();
const tell = (report: MempoolReport, transfer: readonly TransferListItem[] = []): void => port.postMessage(report, transfer);
const follower = new MempoolFollower(options.follow, {
  node,
  store,
  now,
  say: (level, fields, text) => tell({ type: "said", level, fields, text }),
});

let told: MempoolFigures | undefined;

function tellFigures(): void {
  const figures = { transactions: store.size, rawBytes: store.rawBytes, loaded: follower.loaded, refused: store.refused };
  const news = told === undefined || (Object.keys(figures) as (keyof MempoolFigures)[]).some((name) => figures[name] !== told?.[name]);
  if (news) tell({ type: "figures", figures });
  told = figures;
}

async function answer(order: MempoolQuestion): Promise<[MempoolAnswers[keyof MempoolAnswers], TransferListItem[]]> {
  if (order.type === "match") {
    const began = now();
    const found = store.match(order.key, order.ids);
    const arrays = [found.positions, found.txids, found.wtxids, found.sizes, found.weights, found.fees];
    return [{ found, seconds: (now() - began) / 1000 }, arrays.map((array) => array.buffer as ArrayBuffer)];
  }
  if (order.type === "raw") {
    const wtxids = keys(order.wtxids);
    const raws = flatten(await follower.raw(keys(order.txids).map((txid, i) => ({ txid, wtxid: wtxids[i]! }))));
    return [raws, [raws.bytes.buffer, raws.lengths.buffer]];
  }
  const fees = await follower.fees(keys(order.txids));
  return [BigInt64Array.from(fees, (fee) => fee ?? -1n), []];
}

function keys(ids: Uint8Array): string[] {
  return Array.from({ length: ids.length / 32 }, (_, i) => keyOf(ids.subarray(32 * i, 32 * (i + 1))));
}

async function obey(order: MempoolOrder): Promise<void> {
  if (order.type === "learn") {
    const raws = unflatten(order.raws).filter((raw) => raw !== undefined);
    const bad = store.learn(raws, now());
    if (bad > 0) tell({ type: "said", level: "warn", fields: { bad }, text: "transactions to be learned can't be read" });
  } else if (order.type === "knowFees") {
    for (const [i, txid] of keys(order.txids).entries()) store.setFee(txid, order.fees[i]!);
  } else if (order.type === "stop") {
    clearInterval(timer);
    const stopped = follower.stop();
    // A question that the node lets hang ends with its connection.
    await node.close();
    await stopped;
    port.close();
  } else {
    try {
      const [result, transfer] = await answer(order);
      tell({ type: "answer", question: order.question, answer: result }, transfer);
    } catch (error) {
      tell({ type: "failed", question: order.question, error: error instanceof Error ? error.message : String(error) });
    }
  }
}

const timer = setInterval(tellFigures, FIGURES_MS);
port.on("message", (order: MempoolOrder) => void obey(order));
await follower.start();
