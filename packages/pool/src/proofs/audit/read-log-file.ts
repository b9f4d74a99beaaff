/** A log file as an audit reads it: line by line, however long it is. */
import { createHash } from "node:crypto";
import { ProofError } from "../errors.js";
import { decodeLogLine, type LogEnd, type LogEntry, type LogHeader, type LogLine, MAX_LOG_LINE } from "../log-format.js";
import { asDifference, Line } from "./difference.js";
import type { ProofSource } from "./source.js";

/** What goes by when a log file is read. */
export interface LogVisitor {
  readonly header?: (header: LogHeader, place: Line) => void;
  /** One that answers with a promise holds the reading up. */
  readonly entry: (entry: LogEntry, place: Line) => Promise<void> | undefined;
}

/** What is known at the end of a log file. */
export interface LogFileEnd {
  readonly header: LogHeader;
  readonly end: LogEnd;
  /** sha256 of the text. */
  readonly hash: Uint8Array;
}

/**
 * Reads a log file through: header, entries by position, counts.
 *
 * @throws DifferenceFound for a file that is not of the published form
 */
export async function readLogFile(source: ProofSource, file: string, visitor: LogVisitor): Promise<LogFileEnd> {
  const hash = createHash("sha256");
  const order = new LogOrder(file);
  try {
    for await (const text of linesOf(source.read(file), (piece) => hash.update(piece))) {
      const line = decodeLogLine(text, order.next());
      const place = order.take(line);
      if (line.kind === "header") visitor.header?.(line, place);
      else if (line.kind !== "end") {
        const busy = visitor.entry(line, place);
        if (busy !== undefined) await busy;
      }
    }
  } catch (error) {
    throw asDifference(file, error);
  }
  return { ...order.finish(), hash: hash.digest() };
}

/** Lines without their ends. */
async function* linesOf(pieces: AsyncIterable<Uint8Array>, seen: (piece: Uint8Array) => unknown): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8");
  let rest = "";
  for await (const piece of pieces) {
    seen(piece);
    const texts = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = texts.pop() ?? "";
    if (rest.length > MAX_LOG_LINE)
      throw new ProofError("proof.tooLarge", `expected lines of at most ${MAX_LOG_LINE} characters, got longer`);
    yield* texts;
  }
  if (rest !== "") throw new ProofError("proof.badLine", "expected a text that ends with the end of a line, got one cut short");
}

/** The order of the lines: one header, entries by rising positions, one end that counts them. */
class LogOrder {
  readonly #file: string;
  #line = 0;
  #header: LogHeader | undefined;
  #end: LogEnd | undefined;
  #last = 0n;
  #shares = 0;
  #voids = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** The number of the line that comes. */
  next(): number {
    return ++this.#line;
  }

  take(line: LogLine): Line {
    const place = new Line(this.#file, this.#line);
    if ((line.kind === "header") !== (this.#line === 1))
      place.differs("", this.#line === 1 ? "a header" : "an entry or the end", line.kind);
    if (this.#end !== undefined) place.differs("", "nothing after the last line", line.kind);
    switch (line.kind) {
      case "header":
        this.#header = line;
        this.#last = line.after;
        break;
      case "end":
        if (line.last < this.#last) place.differs("end", `${this.#last} or more`, String(line.last));
        place.check("shares", this.#shares, line.shares);
        place.check("voids", this.#voids, line.voids);
        this.#end = line;
        break;
      default:
        if (line.position <= this.#last) place.differs("position", `more than ${this.#last}`, String(line.position));
        this.#last = line.position;
        if (line.kind === "share") this.#shares++;
        else this.#voids++;
    }
    return place;
  }

  finish(): { header: LogHeader; end: LogEnd } {
    const [header, end] = [this.#header, this.#end];
    if (header !== undefined && end !== undefined) return { header, end };
    return new Line(this.#file, this.#line + 1).differs("", "a log file with its last line", "the end of the file");
  }
}
