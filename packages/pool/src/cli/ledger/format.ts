/** Amounts, hashes and tables of the ledger's commands, as people read them. */
import { type Network, reverseHex, scriptToAddress } from "@openprime/bitcoin";

const COIN = 100_000_000n;

/** Satoshis as coins with eight decimals: `-0.00000001`. */
export function coins(satoshis: bigint): string {
  const positive = satoshis < 0n ? -satoshis : satoshis;
  return `${satoshis < 0n ? "-" : ""}${positive / COIN}.${String(positive % COIN).padStart(8, "0")}`;
}

/** The address of an account's script in the spelling we write; hex of a script without one. */
export function addressText(script: Uint8Array, network: Network): string {
  return scriptToAddress(script, network) ?? Buffer.from(script).toString("hex");
}

/** A hash by its ends, as explorers show it: blocks begin with zeros. */
export function shortHash(hash: Uint8Array): string {
  const text = reverseHex(hash);
  return `${text.slice(0, 8)}…${text.slice(-8)}`;
}

/** `2026-11-22 21:04:05`, UTC. */
export function timeText(time: Date): string {
  return time.toISOString().slice(0, 19).replace("T", " ");
}

/** Lines with columns of one width each. @param right which columns are figures, by their place */
export function table(heads: readonly string[], rows: readonly (readonly string[])[], right: readonly number[]): string[] {
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map((row) => row[column]?.length ?? 0)));
  return [heads, ...rows].map((row) =>
    row
      .map((cell, column) => (right.includes(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}
