/** Figures of the process and its machine for Prometheus: what every Node.js program shows, which version runs, and room on the disks. */
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { collectDefaultMetrics, Gauge, type Registry } from "prom-client";

/** Figures of prom-client that are named as counters and are none. */
const MISNAMED = ["nodejs_active_handles_total", "nodejs_active_requests_total", "nodejs_active_resources_total"];

/**
 * The usual figures of a Node.js process (CPU, memory, event loop, garbage collection, open files), and one that names what runs.
 *
 * @param build labels of `openprime_build_info`
 */
export function watchProcess(registry: Registry, build: Readonly<Record<string, string>>): void {
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  new Gauge({
    name: "openprime_build_info",
    help: "1; the labels say what runs.",
    labelNames: Object.keys(build),
    registers: [registry],
  }).set({ ...build }, 1);
}

/**
 * Free and whole size of the disks that hold these folders, read at each scrape. A folder that is not there yet is measured where it will be.
 *
 * @param folders paths by the name that their label has
 */
export function watchFolders(registry: Registry, folders: Readonly<Record<string, string>>): void {
  const gauge = (name: string, help: string, figure: (disk: Disk) => number): Gauge =>
    new Gauge({
      name,
      help,
      labelNames: ["folder"],
      registers: [registry],
      async collect() {
        for (const [folder, path] of Object.entries(folders)) {
          const disk = await existing(path);
          if (disk === undefined) this.remove({ folder });
          else this.set({ folder }, figure(disk));
        }
      },
    });
  gauge(
    "openprime_disk_free_bytes",
    "What the pool may still write on the disk that holds one of its folders.",
    ({ bavail, bsize }) => bavail * bsize,
  );
  gauge("openprime_disk_size_bytes", "Size of the disk that holds a folder of the pool.", ({ blocks, bsize }) => blocks * bsize);
}

const read = (path: string) => statfs(path);
type Disk = Awaited<ReturnType<typeof read>>;

/** Of the folder, or of the nearest above it that can be looked at; undefined when none can. */
async function existing(path: string): Promise<Disk | undefined> {
  try {
    return await read(path);
  } catch {
    const above = dirname(path);
    return above === path ? undefined : existing(above);
  }
}
