/**
 * One line of a published NDJSON file: its fields, checked. Whether the line is spelled in the one right way (key order, no whitespace, lower-case hex,
 * decimal numbers without leading zeros) is not looked at here; the caller encodes what it read and compares.
 */
import { fromReverseHex } from "@openprime/bitcoin";
import { ProofError } from "./errors.js";

/** Longest script that a node executes. */
export const MAX_SCRIPT = 10_000;

const BITS_PER_DIGIT = 3;

/** The fields of one JSON object. Every method throws ProofError with line and field. */
export class LineFields {
  readonly #value: Readonly<Record<string, unknown>>;

  constructor(
    readonly line: number,
    value: unknown,
    /** Path in front of the field names, with its dot. */
    readonly path = "",
  ) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw ProofError.at("proof.badLine", line, path.replace(/\.$/, ""), "a JSON object", show(value));
    }
    this.#value = value as Readonly<Record<string, unknown>>;
  }

  static parse(line: number, text: string): LineFields {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw ProofError.at("proof.badLine", line, "", "a JSON object", text);
    }
    return new LineFields(line, value);
  }

  /** Whether the object has the field. */
  has(name: string): boolean {
    return Object.hasOwn(this.#value, name);
  }

  /** The field as JSON has it. */
  value(name: string): unknown {
    return this.#value[name];
  }

  text(name: string): string {
    const value = this.#value[name];
    return typeof value === "string" ? value : this.refuse(name, "text");
  }

  /** One of the given words. */
  word<T extends string>(name: string, words: readonly T[]): T {
    const value = this.#value[name];
    return words.find((word) => word === value) ?? this.refuse(name, words.map((word) => JSON.stringify(word)).join(" or "));
  }

  /** A JSON number. */
  integer(name: string, least: number, most: number): number {
    const value = this.#value[name];
    const good = typeof value === "number" && Number.isSafeInteger(value) && value >= least && value <= most;
    return good ? value : this.refuse(name, `a whole number of ${least} to ${most}`);
  }

  /** A whole number as decimal text, below 2^bits; below 0 (from -2^bits) only where `signed`. */
  decimal(name: string, bits: number, signed = false): bigint {
    const value = this.#value[name];
    const most = mostOf(bits);
    const good = typeof value === "string" && value.length <= bits / BITS_PER_DIGIT + 2 && /^-?[0-9]+$/.test(value);
    const number = good ? BigInt(value) : undefined;
    if (number !== undefined && number <= most && number >= (signed ? -most - 1n : 0n)) return number;
    return this.refuse(name, `a whole number of ${signed ? `-2^${bits}` : "0"} to 2^${bits} - 1 as decimal text`);
  }

  /** Hex of `least` to `most` bytes. */
  hex(name: string, least: number, most: number): Uint8Array {
    const value = this.#value[name];
    const good = typeof value === "string" && value.length >= 2 * least && value.length <= 2 * most && isHex(value);
    if (good) return new Uint8Array(Buffer.from(value, "hex"));
    return this.refuse(name, least === most ? `${least} bytes in hex` : `${least} to ${most} bytes in hex`);
  }

  script(name: string): Uint8Array {
    return this.hex(name, 1, MAX_SCRIPT);
  }

  /** A hash in display order; returned in internal order. */
  displayHash(name: string): Uint8Array {
    const value = this.#value[name];
    return typeof value === "string" && value.length === 64 && isHex(value) ? fromReverseHex(value) : this.refuse(name, "32 bytes in hex");
  }

  /** `read` unless the field is null. */
  nullable<T>(name: string, read: (name: string) => T): T | undefined {
    return this.#value[name] === null ? undefined : read(name);
  }

  object(name: string): LineFields {
    return new LineFields(this.line, this.#value[name], `${this.path}${name}.`);
  }

  /** Each item of a list, by `read`, which gets the item's own path. @param first number of the first, where this is a piece of the list */
  list<T>(name: string, read: (item: unknown, path: string) => T, first = 0): T[] {
    const value = this.#value[name];
    if (!Array.isArray(value)) return this.refuse(name, "a list");
    return value.map((item, i) => read(item, `${this.path}${name}[${first + i}]`));
  }

  /** A list of objects. @param first as in `list` */
  objects<T>(name: string, read: (fields: LineFields) => T, first = 0): T[] {
    return this.list(name, (item, path) => read(new LineFields(this.line, item, `${path}.`)), first);
  }

  refuse(name: string, expected: string): never {
    throw ProofError.at("proof.badValue", this.line, `${this.path}${name}`, expected, show(this.#value[name]));
  }
}

const bounds = new Map<number, bigint>();

/** 2^bits - 1: of a few widths, and of each very often. */
function mostOf(bits: number): bigint {
  let most = bounds.get(bits);
  if (most === undefined) {
    most = (1n << BigInt(bits)) - 1n;
    bounds.set(bits, most);
  }
  return most;
}

function isHex(text: string): boolean {
  return text.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(text);
}

function show(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value);
}
