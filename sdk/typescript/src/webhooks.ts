// Verifies messages that the server sends to webhook endpoints, as Standard Webhooks says.
//
// A message is signed with HMAC-SHA-256 over its id, its time and its body as it arrived. For a day
// after a rotation two secrets sign, so one message has two signatures; one that fits is enough.

import { createHmac, timingSafeEqual } from "node:crypto";
import { WebhookVerificationError } from "./errors.js";

const TOLERANCE_SECONDS = 300;
const PREFIX = "whsec_";

/** What happened. Types and members of `data` that are not known are to be ignored. */
export interface WebhookMessage {
    type: string;
    timestamp: string;
    data: Record<string, unknown>;
}

export interface VerifyOptions {
    /** How far the time of the message may be from now; 300. */
    toleranceSeconds?: number;
    /** The present time in seconds since 1970. */
    now?: number;
}

/** The headers of a request: an object as of `node:http`, or `Headers`. */
export type WebhookHeaders = Headers | Readonly<Record<string, string | string[] | undefined>>;

/**
 * Returns the message, or throws a `WebhookVerificationError`.
 *
 * `body` is as it arrived, before any parser. `secrets` is one secret or several, of which one
 * must fit.
 */
export function verifyWebhook(
    body: string | Uint8Array,
    headers: WebhookHeaders,
    secrets: string | readonly string[],
    options: VerifyOptions = {},
): WebhookMessage {
    const raw = typeof body === "string" ? Buffer.from(body, "utf8") : Buffer.from(body);
    const id = header(headers, "webhook-id");
    const sentAt = header(headers, "webhook-timestamp");
    const signatures = header(headers, "webhook-signature").split(" ");
    if (!/^\d+$/.test(sentAt)) throw new WebhookVerificationError("the time is not a number");
    const now = options.now ?? Date.now() / 1000;
    if (!(Math.abs(now - Number(sentAt)) <= (options.toleranceSeconds ?? TOLERANCE_SECONDS))) {
        throw new WebhookVerificationError("the message is too old, or of the future");
    }
    const given = signatures.filter((one) => one.startsWith("v1,")).map((one) => Buffer.from(one.slice(3), "utf8"));
    const keys = (typeof secrets === "string" ? [secrets] : secrets).map(keyOf);
    let fits = false;
    // Every pair is compared, so that the time says nothing.
    for (const key of keys) {
        const hmac = createHmac("sha256", key).update(`${id}.${sentAt}.`).update(raw);
        const expected = Buffer.from(hmac.digest("base64"), "utf8");
        for (const one of given) {
            const same = one.length === expected.length && timingSafeEqual(one, expected);
            fits = same || fits;
        }
    }
    if (!fits) throw new WebhookVerificationError("no signature fits the message");
    return messageOf(raw);
}

function messageOf(raw: Buffer): WebhookMessage {
    try {
        return JSON.parse(raw.toString("utf8")) as WebhookMessage;
    } catch (error) {
        throw new WebhookVerificationError("the message is not JSON", { cause: error });
    }
}

function header(headers: WebhookHeaders, name: string): string {
    const entries = headers instanceof Headers ? [...headers] : Object.entries(headers);
    const value = entries.find(([key]) => key.toLowerCase() === name)?.[1];
    if (typeof value !== "string") throw new WebhookVerificationError(`the header ${name} is missing`);
    return value;
}

function keyOf(secret: string): Buffer {
    const text = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret;
    const key = Buffer.from(text, "base64");
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || key.length === 0) throw new TypeError("the secret is not Base64");
    return key;
}
