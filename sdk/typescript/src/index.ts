// Client of Tollkeeper: charge an operation before it runs, and refund it if it fails.
//
// `Client` has the calls, grouped by resource, and `run`. `verifyWebhook` checks messages of the
// server. The types of requests and responses are those of the server's OpenAPI document.

export { VERSION } from "./call.js";
export type {
    CallOptions,
    EntriesAfter,
    Keyed,
    KeyedCharge,
    KeyedGrant,
    KeyedOptions,
    KeyedPaymentRefund,
    KeyedSubscription,
    KeyedTopUp,
    Page,
} from "./call.js";
export { Client } from "./client.js";
export type { ClientOptions } from "./client.js";
export * from "./errors.js";
export { Pages } from "./pages.js";
export { Running } from "./running.js";
export type { RunResult } from "./running.js";
export type { StreamEvent, StreamOptions } from "./stream.js";
export type * from "./types.js";
export { verifyWebhook } from "./webhooks.js";
export type { VerifyOptions, WebhookHeaders, WebhookMessage } from "./webhooks.js";
