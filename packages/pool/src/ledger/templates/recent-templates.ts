/** Templates as the books have them, for tables and the API. Reads only. */
import type { Database } from "../database.js";
import { RECENT_TEMPLATES } from "./queries.js";
import { storedTemplate, type TemplateRow } from "./template-row.js";
import type { StoredTemplate } from "./types.js";

/** The newest first, of all gateways or of the one with that long-term key. */
export async function recentTemplates(database: Database, limit = 100, gatewayKey?: Uint8Array): Promise<StoredTemplate[]> {
  const key = gatewayKey === undefined ? null : Buffer.from(gatewayKey);
  const { rows } = await database.pool.query<TemplateRow>(RECENT_TEMPLATES, [limit, key]);
  return rows.map(storedTemplate);
}
