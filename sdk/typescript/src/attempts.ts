// The attempts of one call: how long each may take, and whether and when the next one follows.
//
// A call is sent again if its problem is `retryable`, if the connection broke, or if a proxy
// answers that it has lost the server. A call that would have another effect the second time is
// only sent again if the first attempt certainly did nothing. A 402 is never sent again. Clock and
// chance are arguments, so that tests need neither.

import type { CallOptions } from "./call.js";
import { ApiError, ConnectionFailedError, DeadlineExceededError, UnexpectedAnswerError } from "./errors.js";

/** Pauses without a `Retry-After` double from the first to the longest. */
const FIRST_PAUSE_SECONDS = 0.2;
const LONGEST_PAUSE_SECONDS = 8;
/** With these codes the server has done nothing. */
const NOTHING_DONE = ["rate_limited", "too_many_followers", "overloaded", "request_timeout"];
/** With these statuses a proxy says that it has lost the server. */
const FROM_PROXY = [502, 503, 504];

/** How long a call may take, and how often it is sent. */
export interface Bounds {
    attemptTimeoutSeconds: number;
    totalTimeoutSeconds: number;
    maxAttempts: number;
}

/** The bounds with those of the options that are given, and time for the server to wait. */
export function boundsOf(bounds: Bounds, options: CallOptions, waitSeconds = 0): Bounds {
    const attemptTimeoutSeconds = (options.attemptTimeoutSeconds ?? bounds.attemptTimeoutSeconds) + waitSeconds;
    const totalTimeoutSeconds = (options.totalTimeoutSeconds ?? bounds.totalTimeoutSeconds) + waitSeconds;
    const maxAttempts = options.maxAttempts ?? bounds.maxAttempts;
    if (!(attemptTimeoutSeconds > 0 && totalTimeoutSeconds > 0 && maxAttempts >= 1)) {
        throw new TypeError("timeouts must be above zero, and there must be an attempt");
    }
    return { attemptTimeoutSeconds, totalTimeoutSeconds, maxAttempts };
}

/** Counts the attempts of one call. */
export class Attempts {
    begun = 0;
    /** True if an earlier attempt may have been carried out. */
    answerWasLost = false;
    private readonly ends: number;

    constructor(
        private readonly bounds: Bounds,
        private readonly isRepeatable: boolean,
        private readonly now = () => performance.now() / 1000,
        private readonly chance: () => number = Math.random,
    ) {
        this.ends = now() + bounds.totalTimeoutSeconds;
    }

    /** Begins an attempt and returns the seconds that it may take. */
    begin(): number {
        this.begun += 1;
        const left = this.ends - this.now();
        if (left <= 0) throw new DeadlineExceededError(`no answer in ${this.bounds.totalTimeoutSeconds} seconds`);
        return Math.min(this.bounds.attemptTimeoutSeconds, left);
    }

    /** The seconds until the next attempt. Throws the error if there is none. */
    pauseAfter(error: unknown): number {
        if (!isCertainlyUndone(error)) this.answerWasLost = true;
        if (this.begun >= this.bounds.maxAttempts || !this.mayRepeat(error)) throw error;
        const pause = this.pause(retryAfterOf(error));
        if (this.now() + pause >= this.ends) throw error;
        return pause;
    }

    private mayRepeat(error: unknown): boolean {
        let may = error instanceof ConnectionFailedError || error instanceof DeadlineExceededError;
        if (error instanceof ApiError) may = error.retryable && error.status !== 402;
        if (error instanceof UnexpectedAnswerError) {
            may = FROM_PROXY.includes(error.status) || (error.status === 429 && error.retryAfterSeconds !== null);
        }
        return may && (this.isRepeatable || isCertainlyUndone(error));
    }

    /** A half to the whole of the doubled pause, on top of what the server asks for. */
    private pause(retryAfterSeconds: number | null): number {
        const pause = Math.min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** Math.min(this.begun - 1, 10));
        const jittered = (pause * (1 + this.chance())) / 2;
        return retryAfterSeconds === null ? jittered : retryAfterSeconds + jittered / 4;
    }
}

function retryAfterOf(error: unknown): number | null {
    return error instanceof ApiError || error instanceof UnexpectedAnswerError ? error.retryAfterSeconds : null;
}

/** Whether the server has not carried out the attempt. */
function isCertainlyUndone(error: unknown): boolean {
    if (error instanceof ApiError) return NOTHING_DONE.includes(error.code) || error.status < 500;
    return error instanceof ConnectionFailedError && !error.wasSent;
}
