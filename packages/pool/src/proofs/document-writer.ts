/** A text that is made line by line, and hashed as it grows, so that neither takes long at its end. */
import { createHash } from "node:crypto";

/** Characters that are hashed in one go. */
const PIECE_LENGTH = 64 * 1024;

export class DocumentWriter {
  readonly #hash = createHash("sha256");
  readonly #pieces: string[] = [];
  #piece = "";
  #lines = 0;

  /** Adds a line. @returns its number, from 1 */
  add(line: string): number {
    this.#piece += `${line}\n`;
    if (this.#piece.length >= PIECE_LENGTH) this.#endPiece();
    return ++this.#lines;
  }

  /** The whole text and its sha256. The writer is of no use afterwards. */
  end(): { readonly text: string; readonly hash: Uint8Array } {
    this.#endPiece();
    return { text: this.#pieces.join(""), hash: this.#hash.digest() };
  }

  #endPiece(): void {
    this.#hash.update(this.#piece, "utf8");
    this.#pieces.push(this.#piece);
    this.#piece = "";
  }
}
