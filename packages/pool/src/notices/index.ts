/** Notices to miners and the operator: what happened, by webhook, e-mail or Nostr. */
export { EmailChannel, type EmailOptions } from "./channels/email.js";
export { NostrChannel, nostrSender } from "./channels/nostr.js";
export type { Channel, Destination, Message } from "./channels/types.js";
export { WebhookChannel, webhookSecretText } from "./channels/webhook.js";
export { messageOf, type PoolName } from "./digest.js";
export { nameOf, TOKENS } from "./dispatcher.js";
export * from "./errors.js";
export * from "./events.js";
export { NoticeSecrets } from "./secrets.js";
export { Notices, type NoticesModules, type NoticesOptions, type NoticeTuning } from "./service.js";
export type * from "./sight.js";
export { maskTarget, parseTarget } from "./targets.js";
