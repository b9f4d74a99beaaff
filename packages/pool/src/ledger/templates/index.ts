/** What was behind the jobs. */
export { recentTemplates } from "./recent-templates.js";
export { TemplateBook, type TemplateBookModules, type TemplateBookOptions } from "./template-book.js";
export type * from "./types.js";
