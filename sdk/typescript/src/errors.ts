// Errors that the client throws.
//
// An `ApiError` is an answer of the server that refuses a call. Programs compare its `code`, which
// is stable, or test for a subclass. A code or member that this version does not know is passed on.

import type { Charge, ProblemCode } from "./types.js";

/** The members of a problem, with those of its code. */
export type ProblemMembers = Readonly<Record<string, unknown>>;

/** The base of all errors of this package, except `UserError`. */
export class TollkeeperError extends Error {
    constructor(message: string, options?: ErrorOptions) {
        super(message, options);
        this.name = new.target.name;
    }
}

/** The server refused the call. `problem` has all members of the answer. */
export class ApiError extends TollkeeperError {
    readonly code: ProblemCode | (string & {});
    readonly title: string;
    readonly detail: string;
    readonly retryable: boolean;

    constructor(
        readonly status: number,
        readonly problem: ProblemMembers,
        readonly retryAfterSeconds: number | null = null,
    ) {
        const code = text(problem, "code") ?? "";
        const detail = text(problem, "detail") ?? "";
        super(`${status} ${code}: ${detail}`);
        this.code = code;
        this.title = text(problem, "title") ?? "";
        this.detail = detail;
        this.retryable = problem["retryable"] === true;
    }
}

/** 402: the charge was refused, nothing was deducted, and the operation must not run. */
export class PaymentRequiredError extends ApiError {}

/** The available credit does not cover the charge. Amounts are micro-units. */
export class InsufficientCreditsError extends PaymentRequiredError {
    get required(): number | null {
        return integer(this.problem, "required");
    }
    get available(): number | null {
        return integer(this.problem, "available");
    }
    get shortfall(): number | null {
        return integer(this.problem, "shortfall");
    }
    /** The largest quantity that the credit covers. */
    get affordableQuantity(): number | null {
        return integer(this.problem, "affordable_quantity");
    }
    /** The same of each meter, if the others stay as they were asked for. */
    get affordableQuantities(): Record<string, number> | null {
        const quantities = this.problem["affordable_quantities"];
        return typeof quantities === "object" ? (quantities as Record<string, number> | null) : null;
    }
    /** The page where an admin adds credits. */
    get addCreditsUrl(): string | null {
        return text(this.problem, "add_credits_url");
    }
}

/** The charge would exceed a spending limit. */
export class LimitExceededError extends PaymentRequiredError {
    /** What the limit still permits, in micro-units. */
    get remaining(): number | null {
        return integer(this.problem, "remaining");
    }
    /** When the next period of the limit begins. */
    get resetsAt(): string | null {
        return text(this.problem, "resets_at");
    }
}

/** The workspace owes credit after a lost payment. */
export class DebtOutstandingError extends PaymentRequiredError {
    /** What is owed, in micro-units. */
    get debt(): number | null {
        return integer(this.problem, "debt");
    }
}

/** The connection broke. If `wasSent`, the server may have done what was asked. */
export class ConnectionFailedError extends TollkeeperError {
    constructor(message: string, readonly wasSent: boolean, options?: ErrorOptions) {
        super(message, options);
    }
}

/** No answer came in time. The server may have done what was asked. */
export class DeadlineExceededError extends TollkeeperError {}

/** The answer is not one of Tollkeeper; a proxy may have sent it. */
export class UnexpectedAnswerError extends TollkeeperError {
    constructor(message: string, readonly status: number, readonly retryAfterSeconds: number | null = null) {
        super(message);
    }
}

/** `run` was given a key that was used before, so the function was not called. */
export class OperationAlreadyPaidError extends TollkeeperError {
    readonly code = "operation_already_paid";

    constructor(readonly charge: Charge, readonly statusNow: string) {
        super(`the key has paid for ${charge.id} before, which is ${statusNow}`);
    }
}

/** The function of `run` succeeded and the server does not know. `result` is what it returned. */
export class OutcomeNotReportedError extends TollkeeperError {
    constructor(readonly charge: Charge, readonly result: unknown, options?: ErrorOptions) {
        super(`the success of ${charge.id} could not be reported, so it may be refunded`, options);
    }
}

/** The message is not signed with the secret, or is too old. */
export class WebhookVerificationError extends TollkeeperError {}

/**
 * Thrown in the function of `run` if the operation failed by the user: the charge is kept.
 * The message is stored in the journal for ever, so it is not for personal data.
 */
export class UserError extends Error {
    override name = "UserError";
}

const BY_CODE: Readonly<Record<string, typeof ApiError>> = {
    insufficient_credits: InsufficientCreditsError,
    limit_exceeded: LimitExceededError,
    debt_outstanding: DebtOutstandingError,
};

/** The error for an answer, by its code and then by its status. */
export function apiError(status: number, problem: ProblemMembers, retryAfterSeconds: number | null): ApiError {
    const code = text(problem, "code") ?? "";
    const known = Object.hasOwn(BY_CODE, code) ? BY_CODE[code] : undefined;
    const kind = known ?? (status === 402 ? PaymentRequiredError : ApiError);
    return new kind(status, problem, retryAfterSeconds);
}

function integer(problem: ProblemMembers, name: string): number | null {
    const value = problem[name];
    return typeof value === "number" && Number.isSafeInteger(value) ? value : null;
}

function text(problem: ProblemMembers, name: string): string | null {
    const value = problem[name];
    return typeof value === "string" ? value : null;
}
