// Sends calls and repeats them; reads streams.

import { Attempts, boundsOf, type Bounds } from "./attempts.js";
import { address, request, valueOf, type Answer, type Call, type KeyedOptions } from "./call.js";
import { ConnectionFailedError, DeadlineExceededError } from "./errors.js";
import { eventsOf, SILENCE_SECONDS, type StreamEvent, type StreamOptions } from "./stream.js";

/** Errors of a connection that was never made. */
const NEVER_SENT = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"];

/** Holds the address, the key and the bounds of calls. */
export class Sender {
    private readonly baseUrl: string;
    readonly #key: string;

    constructor(
        baseUrl: string,
        key: string,
        private readonly bounds: Bounds,
        private readonly fetch: typeof globalThis.fetch,
    ) {
        this.baseUrl = baseUrl.replace(/\/+$/, "");
        this.#key = key;
    }

    async send<T>(call: Call<T>, options: KeyedOptions): Promise<T> {
        return (await this.sendCounted(call, options)).value;
    }

    /** The value with the attempts that it took. All have the same idempotency key. */
    async sendCounted<T>(call: Call<T>, options: KeyedOptions): Promise<{ value: T; attempts: Attempts }> {
        const init = request(call, this.#key, options);
        const url = this.baseUrl + address(call.path, call.query);
        const bounds = boundsOf(this.bounds, options, call.waitSeconds);
        const attempts = new Attempts(bounds, call.isRepeatable ?? true);
        for (;;) {
            options.signal?.throwIfAborted();
            const seconds = attempts.begin();
            let pause;
            try {
                return { value: valueOf(call, await this.exchange(url, init, seconds, options.signal)), attempts };
            } catch (error) {
                options.signal?.throwIfAborted();
                pause = attempts.pauseAfter(error);
            }
            await sleep(pause, options.signal);
        }
    }

    /** The events of one connection. It ends with the connection, or with the signal. */
    async *stream(path: string, query: object, options: StreamOptions): AsyncGenerator<StreamEvent> {
        const call: Call<never> = { method: "GET", path, accept: "text/event-stream" };
        const own = new AbortController();
        const signal = either(own.signal, options.signal);
        const seconds = options.silenceSeconds ?? SILENCE_SECONDS;
        // Only waiting is bounded, not what the caller does between two events.
        const within = async <T>(promise: Promise<T>) => {
            const timer = setTimeout(() => own.abort(), seconds * 1000);
            return promise.finally(() => clearTimeout(timer));
        };
        try {
            const init = { ...request(call, this.#key, {}), signal };
            const response = await within(this.fetch(this.baseUrl + address(path, query), init));
            const reader = response.ok ? response.body?.getReader() : undefined;
            if (reader === undefined) valueOf(call, await within(read(response)));
            else yield* eventsOf(async () => (await within(reader.read())).value);
        } catch (error) {
            options.signal?.throwIfAborted();
            throw failure(error, own.signal.aborted, seconds);
        } finally {
            own.abort();
        }
    }

    private async exchange(url: string, init: RequestInit, seconds: number, outer?: AbortSignal): Promise<Answer> {
        const own = new AbortController();
        const timer = setTimeout(() => own.abort(), seconds * 1000);
        try {
            return await read(await this.fetch(url, { ...init, signal: either(own.signal, outer) }));
        } catch (error) {
            throw failure(error, own.signal.aborted, seconds);
        } finally {
            clearTimeout(timer);
        }
    }
}

async function read(response: Response): Promise<Answer> {
    return { status: response.status, headers: response.headers, text: await response.text() };
}

/** The error for one of fetch, which names the cause of a broken connection, or the same error. */
function failure(error: unknown, isLate: boolean, seconds: number): unknown {
    if (isLate) return new DeadlineExceededError(`no answer in ${seconds} seconds`, { cause: error });
    if (!(error instanceof TypeError) || error.cause === undefined) return error;
    const { code } = error.cause as { code?: unknown };
    const wasSent = !(typeof code === "string" && NEVER_SENT.includes(code));
    const message = `the connection broke: ${String(error.cause)}`;
    return new ConnectionFailedError(message, wasSent, { cause: error });
}

/** A signal that is aborted with the first of two. */
function either(own: AbortSignal, outer: AbortSignal | undefined): AbortSignal {
    if (outer === undefined) return own;
    const both = new AbortController();
    for (const signal of [own, outer]) {
        if (signal.aborted) both.abort(signal.reason);
        else signal.addEventListener("abort", () => both.abort(signal.reason), { once: true, signal: both.signal });
    }
    return both.signal;
}

/** Waits, and ends earlier with the signal. */
function sleep(seconds: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
        const stop = () => {
            clearTimeout(timer);
            reject(signal?.reason);
        };
        const timer = setTimeout(() => {
            signal?.removeEventListener("abort", stop);
            resolve();
        }, seconds * 1000);
        signal?.addEventListener("abort", stop, { once: true });
    });
}
