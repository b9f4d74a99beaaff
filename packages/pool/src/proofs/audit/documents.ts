/** The published settlements: read one at a time, each checked against the link of the one after it. */
import { reverseHex } from "@openprime/bitcoin";
import { ProofError } from "../errors.js";
import { hex } from "../hex.js";
import { INDEX_FILE, type IndexedSettlement, settlementFile } from "../published.js";
import { decodeSettlement, MAX_SETTLEMENT_LENGTH, settlementHash } from "../settlement-format.js";
import type { Settlement, SettlementEntry } from "../types.js";
import { Line, reading } from "./difference.js";
import type { ProofSource } from "./source.js";

/** A settlement as it was published. */
export interface Document {
  readonly file: string;
  readonly hash: Uint8Array;
  readonly settlement: Settlement;
}

/** What is remembered of each document that was read. */
interface Facts extends Pick<Settlement, "number" | "kind" | "previous"> {
  readonly hash: Uint8Array;
  readonly block: string;
  readonly height: number;
  readonly poolScripts: readonly Uint8Array[];
  readonly logWeight: bigint;
  readonly blockWeights: readonly bigint[];
  /** Receipts and spends, and what took them back. */
  readonly booked: readonly SettlementEntry[];
}

/** What the documents tell of the chain. Hashes and scripts in hex. */
export interface BookedBlocks {
  /** Blocks whose coinbase stands in the books: divided, or as a receipt. */
  readonly blocks: ReadonlySet<string>;
  /** The pool's scripts as the documents had them, by height. */
  readonly scripts: readonly { readonly height: number; readonly scripts: ReadonlySet<string> }[];
  /** Height of the highest block that is divided, 0 for none. */
  readonly last: number;
}

const FIRST_PREVIOUS = "00".repeat(32);
/** Documents that are kept whole: the one under audit, and the one before it. */
const KEPT = 2;

export class Documents {
  readonly #source: ProofSource;
  readonly #index: readonly IndexedSettlement[];
  readonly #kept = new Map<number, Document>();
  readonly #facts = new Map<number, Facts>();

  private constructor(source: ProofSource, index: readonly IndexedSettlement[]) {
    this.#source = source;
    this.#index = index;
  }

  static async open(source: ProofSource): Promise<Documents> {
    const { settlements } = await source.index();
    return new Documents(source, settlements);
  }

  /** All that is published, by number. */
  get index(): readonly IndexedSettlement[] {
    return this.#index;
  }

  /** @throws DifferenceFound for a text that is no settlement, or not the one that the index names */
  async get(number: number): Promise<Document> {
    const kept = this.#kept.get(number);
    if (kept !== undefined) return kept;
    const row = this.#index[number - 1];
    if (row === undefined) throw new ProofError("proof.noSuchSettlement", `expected a number of 1 to ${this.#index.length}, got ${number}`);
    const file = settlementFile(row);
    const text = await readText(this.#source, file);
    const settlement = reading(file, () => decodeSettlement(text));
    const document: Document = { file, hash: settlementHash(text), settlement };
    this.#checkIndexed(row, document);
    this.#kept.set(number, document);
    for (const old of this.#kept.keys()) if (this.#kept.size > KEPT) this.#kept.delete(old);
    const { kind, previous, block, poolScripts, window, entries } = settlement;
    const { logWeight, blockWeights } = window;
    this.#facts.set(number, {
      ...{
        number,
        kind,
        previous,
        hash: document.hash,
        block: hex(block.hash),
        height: block.height,
        poolScripts,
        logWeight,
        blockWeights,
      },
      booked: entries.filter(isOfChain),
    });
    return document;
  }

  /** The document before, which this one must name by its hash; undefined for the first. */
  async previous({ file, settlement }: Document): Promise<Document | undefined> {
    const before = settlement.number === 1 ? undefined : await this.get(settlement.number - 1);
    new Line(file, 1).check("previous", before === undefined ? FIRST_PREVIOUS : hex(before.hash), hex(settlement.previous));
    return before;
  }

  /** The latest settlement of the same block before this document, all links in between checked. */
  async settlementOf({ file, settlement }: Document): Promise<Document> {
    const block = hex(settlement.block.hash);
    for await (const facts of this.#backFrom(settlement.number)) {
      if (facts.block !== block) continue;
      if (facts.kind === "settlement") return this.get(facts.number);
      break;
    }
    return new Line(file, 1).differs("block.hash", "a block with a settlement to take back", reverseHex(settlement.block.hash));
  }

  /** The latest receipt or spend of the same transaction and block before this entry that nothing in between has taken back; all links checked. */
  async standingEntry({ settlement }: Document, entry: SettlementEntry): Promise<SettlementEntry | undefined> {
    const name = entryName(entry);
    let reversed = 0;
    const find = (entries: readonly SettlementEntry[]): SettlementEntry | undefined => {
      for (const earlier of entries.toReversed()) {
        if (entryName(earlier) !== name) continue;
        if (earlier.kind === "reversal") reversed++;
        else if (reversed-- === 0) return earlier;
      }
      return undefined;
    };
    const own = settlement.entries.filter((own) => own.id < entry.id && isOfChain(own));
    let found = find(own);
    if (found !== undefined) return found;
    for await (const { booked } of this.#backFrom(settlement.number)) {
      found = find(booked);
      if (found !== undefined) break;
    }
    return found;
  }

  /**
   * Weight of the log at the pins of the pool's last `count` blocks below this document's on its chain, oldest first. A block that was divided before has
   * those of then, whatever was booked late in between.
   */
  async blockWeights({ settlement }: Document, count: number): Promise<readonly bigint[]> {
    const { hash, height } = settlement.block;
    const own = hex(hash);
    const reversed = new Map<string, number>();
    const below: { height: number; logWeight: bigint }[] = [];
    for await (const facts of this.#backFrom(settlement.number)) {
      const { kind, block, logWeight } = facts;
      if (block === own) return facts.blockWeights;
      const open = reversed.get(block) ?? 0;
      if (kind === "reversal") reversed.set(block, open + 1);
      else if (open > 0) reversed.set(block, open - 1);
      else if (facts.height < height) below.push({ height: facts.height, logWeight });
    }
    // Documents stand in the order of booking: a block whose share came late has its after those above it.
    const last = below.sort((a, b) => a.height - b.height).slice(-count);
    return last.map(({ logWeight }) => logWeight);
  }

  /** All that the documents tell of coinbases, each read and linked to the next. */
  async booked(): Promise<BookedBlocks> {
    const divided = new Map<string, number>();
    const receipts = new Set<string>();
    const scripts: { height: number; scripts: ReadonlySet<string> }[] = [];
    for (const { number } of this.#index) {
      await this.previous(await this.get(number));
      const { kind, block, height, poolScripts, booked } = await this.#factsOf(number);
      for (const { kind: what, block: of, txid } of booked) {
        if (of === undefined || txid !== undefined) continue;
        if (what === "receipt") receipts.add(hex(of));
        else if (what === "reversal") receipts.delete(hex(of));
      }
      if (kind === "settlement") divided.set(block, height);
      else divided.delete(block);
      scripts.push({ height, scripts: new Set(poolScripts.map(hex)) });
    }
    scripts.sort((a, b) => a.height - b.height);
    const last = [...divided.values()].reduce((highest, height) => Math.max(highest, height), 0);
    return { blocks: new Set([...divided.keys(), ...receipts]), scripts, last };
  }

  /** The documents before a number, newest first, each by the link of the one after it. */
  async *#backFrom(number: number): AsyncGenerator<Facts> {
    let after = await this.#factsOf(number);
    for (let i = number - 1; i >= 1; i--) {
      const facts = await this.#factsOf(i);
      if (hex(facts.hash) !== hex(after.previous)) {
        const row = this.#index[after.number - 1] as IndexedSettlement;
        new Line(settlementFile(row), 1).differs("previous", hex(facts.hash), hex(after.previous));
      }
      yield facts;
      after = facts;
    }
  }

  async #factsOf(number: number): Promise<Facts> {
    if (!this.#facts.has(number)) await this.get(number);
    return this.#facts.get(number) as Facts;
  }

  #checkIndexed(row: IndexedSettlement, { file, hash, settlement }: Document): void {
    const line = new Line(file, 1);
    line.check("number", row.number, settlement.number);
    line.check("kind", row.kind, settlement.kind);
    line.check("block.height", row.height, settlement.block.height);
    line.check("block.hash", reverseHex(row.block), reverseHex(settlement.block.hash));
    new Line(INDEX_FILE, 1).check(`settlements[${row.number - 1}].hash`, hex(hash), hex(row.hash));
  }
}

/** Whether the chain made it, or took it back. */
function isOfChain({ kind }: SettlementEntry): boolean {
  return kind !== "credit";
}

function entryName({ block, txid }: SettlementEntry): string {
  return [block, txid].map((hash) => (hash === undefined ? "" : hex(hash))).join(":");
}

async function readText(source: ProofSource, file: string): Promise<string> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of source.read(file)) {
    length += piece.length;
    if (length > MAX_SETTLEMENT_LENGTH) {
      throw new ProofError("proof.tooLarge", `expected a settlement of at most ${MAX_SETTLEMENT_LENGTH} bytes in ${file}, got more`);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}
