/** A small writer of charts as SVG: text alone, in colours that can be read on light and on dark ground. */

const WIDTH = 760;
const MARGIN = { top: 44, right: 24, bottom: 48, left: 68 };
/** Distinct for the colour-blind too (Okabe and Ito, 2008), and neither too light for white nor too dark for black. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a07a00", "#3d9bd1", "#8a63d2"];

const STYLE = `
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 15px; font-weight: 600; }
.ground { fill: #ffffff; }
.grid { stroke: #d0d7de; stroke-width: 1; }
.axis { stroke: #57606a; stroke-width: 1; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .ground { fill: #0d1117; }
  .grid { stroke: #30363d; }
  .axis { stroke: #8b949e; }
}`;

/** An axis in the units of the data. */
export interface Axis {
  readonly label: string;
  readonly from: number;
  readonly to: number;
  /** How a tick is written. */
  readonly text: (value: number) => string;
}

export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** An area between two curves. */
export interface Band {
  readonly name: string;
  readonly points: readonly (readonly [x: number, low: number, high: number])[];
}

export interface LineChart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
  readonly bands?: readonly Band[];
  /** A horizontal line to compare with. */
  readonly level: number;
}

/** Curves over a common x axis. What lies outside of the axes is cut off. */
export function lineChart({ title, x, y, lines, bands = [], level }: LineChart): string {
  const height = 380;
  const place = placing(x, y, height);
  const at = (px: number, py: number) => `${round(place.x(px))},${round(place.y(py))}`;
  const shapes: string[] = [];
  const legend: string[] = [];
  for (const { name, points } of bands) {
    const colour = COLOURS[0] as string;
    const outline = [...points.map(([px, , high]) => at(px, high)), ...[...points].reverse().map(([px, low]) => at(px, low))];
    shapes.push(`<polygon points="${outline.join(" ")}" fill="${colour}" fill-opacity="0.2"/>`);
    legend.push(entry(legend.length, name, `<rect x="0" y="-9" width="18" height="10" fill="${colour}" fill-opacity="0.3"/>`));
  }
  for (const [i, { name, points }] of lines.entries()) {
    const colour = COLOURS[i % COLOURS.length] as string;
    shapes.push(`<polyline points="${points.map(([px, py]) => at(px, py)).join(" ")}" fill="none" stroke="${colour}" stroke-width="1.6"/>`);
    legend.push(entry(legend.length, name, `<line x2="18" y1="-4" y2="-4" stroke="${colour}" stroke-width="2.4"/>`));
  }
  const drawn = [
    axes(x, y, height, place),
    `<line class="axis" stroke-dasharray="5 4" x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${round(place.y(level))}" y2="${round(place.y(level))}"/>`,
    `<g clip-path="url(#plot)">${shapes.join("\n")}</g>`,
    `<g transform="translate(${WIDTH - MARGIN.right - 200},${MARGIN.top + 16})">${legend.join("\n")}</g>`,
  ];
  return page(title, height, drawn);
}

export interface BarRow {
  readonly name: string;
  readonly value: number;
  /** Half the length of the error bar. */
  readonly error: number;
}

/** A dot with an error bar for each row, over one x axis. */
export function errorChart(title: string, x: Axis, rows: readonly BarRow[]): string {
  const step = 26;
  const left = 330;
  const height = MARGIN.top + MARGIN.bottom + step * rows.length;
  const place = placing(x, { label: "", from: 0, to: 1, text: String }, height, left);
  const drawn = [axes(x, undefined, height, place, left)];
  const zero = round(place.x(0));
  drawn.push(`<line class="axis" stroke-dasharray="5 4" x1="${zero}" x2="${zero}" y1="${MARGIN.top}" y2="${height - MARGIN.bottom}"/>`);
  for (const [i, { name, value, error }] of rows.entries()) {
    const y = MARGIN.top + step * (i + 0.5);
    const colour = COLOURS[0] as string;
    const [low, high] = [value - error, value + error].map((end) => round(place.x(Math.min(x.to, Math.max(x.from, end)))));
    drawn.push(`<text x="${left - 10}" y="${y + 4}" text-anchor="end">${escaped(name)}</text>`);
    drawn.push(`<line x1="${low}" x2="${high}" y1="${y}" y2="${y}" stroke="${colour}" stroke-width="2"/>`);
    for (const end of [low, high])
      drawn.push(`<line x1="${end}" x2="${end}" y1="${y - 4}" y2="${y + 4}" stroke="${colour}" stroke-width="2"/>`);
    drawn.push(`<circle cx="${round(place.x(value))}" cy="${y}" r="4" fill="${colour}"/>`);
  }
  return page(title, height, drawn);
}

/** Bounds of an axis that hold the values, at round numbers. */
export function bounds(values: readonly number[]): { from: number; to: number } {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const step = tickStep(low, high === low ? low + 1 : high);
  return { from: Math.floor(low / step) * step, to: Math.ceil((high === low ? low + 1 : high) / step) * step };
}

interface Placing {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
}

function placing(x: Axis, y: Axis, height: number, left = MARGIN.left): Placing {
  const width = WIDTH - left - MARGIN.right;
  const tall = height - MARGIN.top - MARGIN.bottom;
  return {
    x: (value) => left + (width * (value - x.from)) / (x.to - x.from),
    y: (value) => MARGIN.top + tall * (1 - (value - y.from) / (y.to - y.from)),
  };
}

function axes(x: Axis, y: Axis | undefined, height: number, place: Placing, left = MARGIN.left): string {
  const bottom = height - MARGIN.bottom;
  const right = WIDTH - MARGIN.right;
  const parts: string[] = [];
  for (const value of ticks(x)) {
    const at = round(place.x(value));
    parts.push(`<line class="grid" x1="${at}" x2="${at}" y1="${MARGIN.top}" y2="${bottom}"/>`);
    parts.push(`<text x="${at}" y="${bottom + 17}" text-anchor="middle">${escaped(x.text(value))}</text>`);
  }
  for (const value of y === undefined ? [] : ticks(y)) {
    const at = round(place.y(value));
    parts.push(`<line class="grid" x1="${left}" x2="${right}" y1="${at}" y2="${at}"/>`);
    parts.push(`<text x="${left - 8}" y="${at + 4}" text-anchor="end">${escaped(y?.text(value) ?? "")}</text>`);
  }
  parts.push(`<text x="${(left + right) / 2}" y="${height - 10}" text-anchor="middle">${escaped(x.label)}</text>`);
  if (y !== undefined) {
    const middle = (MARGIN.top + bottom) / 2;
    parts.push(`<text transform="translate(16,${middle}) rotate(-90)" text-anchor="middle">${escaped(y.label)}</text>`);
  }
  parts.push(`<path class="axis" fill="none" d="M${left},${MARGIN.top}V${bottom}H${right}"/>`);
  return parts.join("\n");
}

function ticks({ from, to }: Axis): number[] {
  const step = tickStep(from, to);
  const values: number[] = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + step * 1e-9; i++) values.push(i * step);
  return values;
}

/** 1, 2 or 5 times a power of ten, about six of them. */
function tickStep(from: number, to: number): number {
  const rough = (to - from) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
}

function entry(row: number, name: string, mark: string): string {
  return `<g transform="translate(0,${row * 18})">${mark}<text x="26">${escaped(name)}</text></g>`;
}

function page(title: string, height: number, parts: readonly string[]): string {
  const plot = `<clipPath id="plot"><rect x="${MARGIN.left}" y="${MARGIN.top}" width="${WIDTH - MARGIN.left - MARGIN.right}" height="${height - MARGIN.top - MARGIN.bottom}"/></clipPath>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escaped(title)}</title><style>${STYLE}\n</style><defs>${plot}</defs>`,
    `<rect class="ground" width="${WIDTH}" height="${height}"/>`,
    `<text class="title" x="${WIDTH / 2}" y="24" text-anchor="middle">${escaped(title)}</text>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
