/**
 * PostgreSQL arrays in binary form, one per column of a batch. The driver turns JavaScript arrays into text, which costs both ends several times as
 * much; a Buffer it passes on as it is. Layout: src/backend/utils/adt/arrayfuncs.c, array_recv.
 */

/** Object ids of the element types, from pg_type.dat. */
const OID = { bool: 16, bytea: 17, int8: 20, int2: 21, int4: 23, text: 25, timestamptz: 1184, numeric: 1700 } as const;

const HEADER = 20;
/** Milliseconds from 1970 to PostgreSQL's own epoch, 2000-01-01. */
const EPOCH_2000 = 946_684_800_000;

function header(bytes: Buffer, oid: number, count: number, nulls: boolean): void {
  bytes.writeInt32BE(1, 0); // dimensions
  bytes.writeInt32BE(nulls ? 1 : 0, 4);
  bytes.writeInt32BE(oid, 8);
  bytes.writeInt32BE(count, 12);
  bytes.writeInt32BE(1, 16); // lower bound
}

function fixed<T>(oid: number, size: number, rows: readonly T[], write: (bytes: Buffer, at: number, row: T) => void): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER + rows.length * (4 + size));
  header(bytes, oid, rows.length, false);
  let at = HEADER;
  for (const row of rows) {
    bytes.writeInt32BE(size, at);
    write(bytes, at + 4, row);
    at += 4 + size;
  }
  return bytes;
}

export function int2s<T>(rows: readonly T[], value: (row: T) => number): Buffer {
  return fixed(OID.int2, 2, rows, (bytes, at, row) => bytes.writeInt16BE(value(row), at));
}

export function int4s<T>(rows: readonly T[], value: (row: T) => number): Buffer {
  return fixed(OID.int4, 4, rows, (bytes, at, row) => bytes.writeInt32BE(value(row), at));
}

export function int8s<T>(rows: readonly T[], value: (row: T) => bigint): Buffer {
  return fixed(OID.int8, 8, rows, (bytes, at, row) => bytes.writeBigInt64BE(value(row), at));
}

/** For u32 values, which int4 can't hold. */
export function uint32s<T>(rows: readonly T[], value: (row: T) => number): Buffer {
  return fixed(OID.int8, 8, rows, (bytes, at, row) => {
    bytes.writeUInt32BE(0, at);
    bytes.writeUInt32BE(value(row), at + 4);
  });
}

export function booleans<T>(rows: readonly T[], value: (row: T) => boolean): Buffer {
  return fixed(OID.bool, 1, rows, (bytes, at, row) => {
    bytes[at] = value(row) ? 1 : 0;
  });
}

/** From milliseconds since 1970. */
export function timestamps<T>(rows: readonly T[], value: (row: T) => number): Buffer {
  return fixed(OID.timestamptz, 8, rows, (bytes, at, row) => {
    const microseconds = Math.round(value(row) - EPOCH_2000) * 1000;
    const high = Math.floor(microseconds / 2 ** 32);
    bytes.writeInt32BE(high, at);
    bytes.writeUInt32BE(microseconds - high * 2 ** 32, at + 4);
  });
}

export function byteas<T>(rows: readonly T[], value: (row: T) => Uint8Array): Buffer {
  return variable(OID.bytea, rows, value);
}

/** Text of a few words, each encoded once. */
export function words<T>(rows: readonly T[], value: (row: T) => string): Buffer {
  const known = new Map<string, Buffer>();
  return variable(OID.text, rows, (row) => {
    const word = value(row);
    let bytes = known.get(word);
    if (bytes === undefined) {
      bytes = Buffer.from(word, "utf8");
      known.set(word, bytes);
    }
    return bytes;
  });
}

export function numerics<T>(rows: readonly T[], value: (row: T) => bigint): Buffer {
  return variable(OID.numeric, rows, (row) => numeric(value(row)));
}

/** `undefined` becomes NULL. */
export function nullableInt8s<T>(rows: readonly T[], value: (row: T) => bigint | undefined): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER + rows.length * 12);
  let at = HEADER;
  let nulls = false;
  for (const row of rows) {
    const n = value(row);
    if (n === undefined) {
      nulls = true;
      at = bytes.writeInt32BE(-1, at);
    } else {
      at = bytes.writeInt32BE(8, at);
      at = bytes.writeBigInt64BE(n, at);
    }
  }
  header(bytes, OID.int8, rows.length, nulls);
  return bytes.subarray(0, at);
}

function variable<T>(oid: number, rows: readonly T[], value: (row: T) => Uint8Array): Buffer {
  let size = HEADER;
  for (const row of rows) size += 4 + value(row).length;
  const bytes = Buffer.allocUnsafe(size);
  header(bytes, oid, rows.length, false);
  let at = HEADER;
  for (const row of rows) {
    const element = value(row);
    at = bytes.writeInt32BE(element.length, at);
    bytes.set(element, at);
    at += element.length;
  }
  return bytes;
}

/** Share weights are powers of two: a few dozen values, encoded once each. */
const numericCache = new Map<bigint, Buffer>();
const NUMERIC_CACHE_LIMIT = 4096;

/** A whole number >= 0 as numeric: digits in base 10000, most significant first (src/backend/utils/adt/numeric.c, numeric_recv). */
export function numeric(value: bigint): Buffer {
  let bytes = numericCache.get(value);
  if (bytes === undefined) {
    if (value < 0n) throw new RangeError(`expected a number of 0 or more, got ${value}`);
    const digits: number[] = [];
    for (let rest = value; rest > 0n; rest /= 10_000n) digits.unshift(Number(rest % 10_000n));
    bytes = Buffer.alloc(8 + digits.length * 2);
    bytes.writeInt16BE(digits.length, 0);
    bytes.writeInt16BE(Math.max(0, digits.length - 1), 2);
    digits.forEach((digit, i) => {
      bytes?.writeInt16BE(digit, 8 + 2 * i);
    });
    if (numericCache.size < NUMERIC_CACHE_LIMIT) numericCache.set(value, bytes);
  }
  return bytes;
}
