// When the next attempt follows, by a clock and a chance of the test.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, ConnectionFailedError, DeadlineExceededError, UnexpectedAnswerError } from "tollkeeper";
import { Attempts, boundsOf } from "../node_modules/tollkeeper/dist/attempts.js";

const BOUNDS = { attemptTimeoutSeconds: 5, totalTimeoutSeconds: 60, maxAttempts: 20 };

function attempts(isRepeatable = true, bounds = {}, chance = 0.5) {
    const clock = { now: 0 };
    const one = new Attempts({ ...BOUNDS, ...bounds }, isRepeatable, () => clock.now, () => chance);
    return { one, clock };
}

const refused = (status: number, code: string, retryable = true, seconds: number | null = null) =>
    new ApiError(status, { code, retryable }, seconds);
const LOST = new ConnectionFailedError("cut", true);
const NEVER_SENT = new ConnectionFailedError("refused", false);

// Each error, and whether a call is sent again that is repeatable, and one that is not.
const CASES: [Error, boolean, boolean][] = [
    [LOST, true, false],
    [NEVER_SENT, true, true],
    [new DeadlineExceededError("late"), true, false],
    [refused(429, "rate_limited"), true, true],
    [refused(503, "overloaded"), true, true],
    [refused(503, "store_unavailable"), true, false],
    [refused(500, "internal_error"), true, false],
    [refused(503, "of_a_newer_server"), true, false],
    [refused(422, "invalid_field", false), false, false],
    [refused(402, "insufficient_credits", false), false, false],
    [refused(402, "of_a_newer_server", true), false, false],
    [new UnexpectedAnswerError("bad gateway", 502), true, false],
    [new UnexpectedAnswerError("too many", 429, 1), true, false],
    [new UnexpectedAnswerError("too many", 429), false, false],
    [new UnexpectedAnswerError("not found", 404), false, false],
    [new RangeError("a bug"), false, false],
];

for (const [error, repeatable, once] of CASES) {
    test(`whether a call is sent again after ${error.message}`, () => {
        for (const [isRepeatable, expected] of [[true, repeatable], [false, once]] as const) {
            const { one } = attempts(isRepeatable);
            one.begin();
            if (expected) assert.ok(one.pauseAfter(error) > 0);
            else assert.throws(() => one.pauseAfter(error), error);
        }
    });
}

test("pauses double up to a bound and are jittered", () => {
    const pauses = (chance: number) => {
        const { one } = attempts(true, { totalTimeoutSeconds: 1e6 }, chance);
        return Array.from({ length: 8 }, () => (one.begin(), one.pauseAfter(LOST).toFixed(3)).replace(/\.?0+$/, ""));
    };
    assert.deepEqual(pauses(1), ["0.2", "0.4", "0.8", "1.6", "3.2", "6.4", "8", "8"]);
    assert.deepEqual(pauses(0), ["0.1", "0.2", "0.4", "0.8", "1.6", "3.2", "4", "4"]);
});

test("the server says the least pause, and one beyond the deadline is not made", () => {
    const { one } = attempts();
    one.begin();
    const pause = one.pauseAfter(refused(503, "overloaded", true, 7));
    assert.ok(pause >= 7 && pause < 8);
    assert.throws(() => one.pauseAfter(refused(429, "rate_limited", true, 60)), ApiError);
});

test("attempts are bounded by count and time", () => {
    const { one, clock } = attempts(true, { maxAttempts: 2, totalTimeoutSeconds: 6 });
    assert.equal(one.begin(), 5);
    one.pauseAfter(LOST);
    clock.now = 4;
    assert.equal(one.begin(), 2);
    assert.throws(() => one.pauseAfter(LOST), ConnectionFailedError);
    clock.now = 6;
    assert.throws(() => one.begin(), DeadlineExceededError);
});

test("a lost answer is remembered", () => {
    const { one } = attempts();
    one.begin();
    one.pauseAfter(NEVER_SENT);
    one.pauseAfter(refused(429, "rate_limited"));
    assert.equal(one.answerWasLost, false);
    one.pauseAfter(LOST);
    assert.equal(one.answerWasLost, true);
});

test("bounds are checked", () => {
    for (const wrong of [{ maxAttempts: 0 }, { totalTimeoutSeconds: 0 }, { attemptTimeoutSeconds: NaN }]) {
        assert.throws(() => boundsOf(BOUNDS, wrong), /timeouts must be above zero/);
    }
});
