// One call of the API: what is sent, what its answer means, and what a caller may set.
//
// Nothing here does I/O. Numbers are exact: one that is not a safe integer is refused before
// anything is sent, and an answer with an integer that JavaScript does not have exactly is refused
// too. Only `metadata`, which is the caller's own, may have other numbers.

import { randomUUID } from "node:crypto";
import { apiError, UnexpectedAnswerError } from "./errors.js";
import type { Charge, Entry, Grant, PaymentRefund, Subscription, TopUp } from "./types.js";

export const VERSION = "0.1.0";

/** What a caller may set for one call; otherwise the client's own settings hold. */
export interface CallOptions {
    /** The longest that one attempt may take. */
    attemptTimeoutSeconds?: number;
    /** The longest that all attempts with their pauses may take. */
    totalTimeoutSeconds?: number;
    /** How often the call is sent at most. */
    maxAttempts?: number;
    /** Ends the call when it is aborted. */
    signal?: AbortSignal;
}

/** Options of a call that moves credit or money. */
export interface KeyedOptions extends CallOptions {
    /** The key of the request. Without it, one is made, which all attempts share. */
    idempotencyKey?: string;
}

/** A page of a list. It may be empty although there is a next one. */
export interface Page<T> {
    data: T[];
    next_cursor: string | null;
}

/** Entries behind a position, oldest first. `after` is sent with the next request. */
export interface EntriesAfter extends Page<Entry> {
    after?: string;
}

/** `replayed` if the key was used before. */
export interface Keyed {
    replayed: boolean;
}

/** A charge as it was at the first answer to its key, and the status that it has now. */
export type KeyedCharge = Charge & Keyed & { status_now: string };
export type KeyedGrant = Grant & Keyed;
export type KeyedTopUp = TopUp & Keyed;
export type KeyedPaymentRefund = PaymentRefund & Keyed;
export type KeyedSubscription = Subscription & Keyed;

/** What is sent. The answer is a `T`. */
export interface Call<T> {
    method: string;
    path: string;
    query?: object;
    body?: object;
    accept?: string;
    /** Moves credit or money, so it has an idempotency key. */
    isKeyed?: boolean;
    /** Answers with a charge, whose present status is in a header. */
    isAboutCharge?: boolean;
    /** False if the second time has another effect. It is not sent again after a lost answer. */
    isRepeatable?: boolean;
    /** How long the server waits at most before it answers, on top of the timeouts. */
    waitSeconds?: number;
    /** Has no value; it keeps the type of the answer. */
    answer?: T;
}

/** The path with ids in its places. An empty id would name another path, so it is refused. */
export function path(parts: TemplateStringsArray, ...ids: string[]): string {
    const encoded = ids.map((id) => {
        if (!id) throw new TypeError(`${parts.join("{}")} needs ids that are not empty`);
        return encodeURIComponent(id);
    });
    return String.raw({ raw: parts }, ...encoded);
}

/** The path with its query. Members that are undefined are left out. */
export function address(path: string, query: object = {}): string {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
        if (value !== undefined && value !== null) search.set(name, String(value));
    }
    return String(search) ? `${path}?${search}` : path;
}

/** Headers and body of a call. All its attempts send the same. */
export function request(call: Call<unknown>, key: string, options: KeyedOptions): RequestInit {
    const headers: Record<string, string> = {
        authorization: `Bearer ${key}`,
        "user-agent": `tollkeeper-typescript/${VERSION}`,
        accept: call.accept ?? "application/json",
    };
    if (call.isKeyed) headers["idempotency-key"] = options.idempotencyKey ?? randomUUID();
    const init: RequestInit = { method: call.method, headers, redirect: "manual" };
    if (call.body !== undefined) {
        refuseInexact(call.body, "the body");
        headers["content-type"] = "application/json";
        init.body = JSON.stringify(call.body);
    }
    return init;
}

/** What came back, with its body read. */
export interface Answer {
    status: number;
    headers: Headers;
    text: string;
}

/** The value of an answer, or an error. */
export function valueOf<T>(call: Call<T>, answer: Answer): T {
    const { status, headers, text } = answer;
    if (status >= 200 && status < 300) {
        if (status === 204) return undefined as T;
        if (call.accept !== undefined) return text as T;
        return withReplay(call, headers, objectOf(answer)) as T;
    }
    const seconds = retryAfterSeconds(headers);
    if (!headers.get("content-type")?.includes("problem+json")) {
        throw new UnexpectedAnswerError(`${status} without a problem: ${text.slice(0, 200)}`, status, seconds);
    }
    throw apiError(status, objectOf(answer), seconds);
}

function withReplay(call: Call<unknown>, headers: Headers, value: Record<string, unknown>): object {
    if (call.isKeyed) value["replayed"] = headers.get("idempotent-replayed") === "true";
    if (call.isAboutCharge) value["status_now"] = headers.get("tollkeeper-charge-status") ?? value["status"];
    return value;
}

function objectOf({ status, text }: Answer): Record<string, unknown> {
    let value: unknown;
    try {
        value = JSON.parse(text);
    } catch {
        value = null;
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw new UnexpectedAnswerError(`${status} without a JSON object`, status);
    }
    const name = findNumber(value, "the answer", (one) => Number.isInteger(one) && !Number.isSafeInteger(one));
    if (name !== null) throw new UnexpectedAnswerError(`${name} is too large to be exact`, status);
    return value as Record<string, unknown>;
}

/** Refuses numbers that are not exact integers. `metadata` is the caller's own. */
export function refuseInexact(value: unknown, name: string): void {
    const wrong = findNumber(value, name, (one) => !Number.isSafeInteger(one));
    if (wrong !== null) throw new TypeError(`${wrong} needs a safe integer`);
}

/** The name of the first number outside of `metadata` that is `wrong`. */
function findNumber(value: unknown, name: string, wrong: (number: number) => boolean): string | null {
    if (typeof value === "number") return wrong(value) ? name : null;
    if (typeof value === "bigint") return name;
    if (typeof value !== "object" || value === null) return null;
    for (const [key, member] of Object.entries(value)) {
        const found = key === "metadata" ? null : findNumber(member, Array.isArray(value) ? name : key, wrong);
        if (found !== null) return found;
    }
    return null;
}

/** The seconds that the header asks for, which may be a number or a date. */
export function retryAfterSeconds(headers: Headers): number | null {
    const value = headers.get("retry-after") ?? "";
    if (/^\d+$/.test(value)) return Number(value);
    const date = Date.parse(value);
    return Number.isNaN(date) ? null : Math.max(0, (date - Date.now()) / 1000);
}
