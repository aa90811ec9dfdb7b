// What `run` gives to its function and returns, and the decisions on its way that need no I/O.

import type { Attempts } from "./attempts.js";
import { path, type Call, type KeyedCharge } from "./call.js";
import { ApiError, OperationAlreadyPaidError, UserError } from "./errors.js";
import type { Available, Charge, ChargeRequest, OutcomeRequest } from "./types.js";

/** The deadline of a charge without heartbeats, unless the request says another. */
const DEADLINE_SECONDS = 60;
/** A text of the API has at most this many characters. */
const DETAIL_CHARACTERS_MAX = 255;

/** The run of an operation, for the function that carries it out. */
export class Running {
    /** Set it if fewer units were run than charged: the difference is refunded. */
    quantity: number | null = null;
    /** The same for an operation with meters: the units that were used of each. */
    quantities: Record<string, number> | null = null;
    readonly #lost = new AbortController();

    constructor(readonly charge: Charge) {}

    /** Aborted once the charge is no longer pending, so the run will not be paid. */
    get signal(): AbortSignal {
        return this.#lost.signal;
    }

    get isLost(): boolean {
        return this.signal.aborted;
    }

    /** Called by the client when a heartbeat is refused. */
    lose(error: unknown): void {
        this.#lost.abort(error);
    }
}

/** What the function returned, and what it cost. */
export interface RunResult<R> {
    result: R;
    charge: Charge;
    /** What was kept, in micro-units. */
    amount: number;
    /** The balance after the charge was settled. */
    balance: Available | null;
}

export function deadlineSeconds(request: ChargeRequest): number {
    return request.timeout_seconds ?? DEADLINE_SECONDS;
}

/** The charge, pending until its outcome or its deadline. */
export function opening(workspace: string, request: ChargeRequest): Call<KeyedCharge> {
    const body = { ...request, await_outcome: true, timeout_seconds: deadlineSeconds(request) };
    const charges = path`/v1/workspaces/${workspace}/charges`;
    return { method: "POST", path: charges, body, isKeyed: true, isAboutCharge: true };
}

/** Refuses a charge of an earlier call. One that a lost attempt of this call made is its own. */
export function refuseReplay(charge: KeyedCharge, attempts: Attempts): void {
    if (charge.status_now !== "pending" || (charge.replayed && !attempts.answerWasLost)) {
        throw new OperationAlreadyPaidError(charge, charge.status_now);
    }
}

/** The outcome for an error of the function. A text of the system stays out of the journal. */
export function failed(error: unknown): OutcomeRequest {
    if (error instanceof UserError) {
        return { result: "failed", fault: "user", detail: shortened(error.message) || null };
    }
    return { result: "failed", fault: "system", detail: shortened(error instanceof Error ? error.name : "thrown") };
}

function shortened(text: string): string {
    return Array.from(text).slice(0, DETAIL_CHARACTERS_MAX).join("");
}

/** Whether a failure of the system was refused only because the deadline came first. */
export function isRefundedAnyway(error: unknown, unreported: unknown): boolean {
    const isRefunded = unreported instanceof ApiError && unreported.code === "charge_already_refunded";
    return isRefunded && !(error instanceof UserError);
}

export function succeeded(running: Running): OutcomeRequest {
    if (running.quantities !== null) return { result: "succeeded", quantities: running.quantities };
    if (running.quantity !== null) return { result: "succeeded", quantity: running.quantity };
    return { result: "succeeded" };
}

export function finished<R>(result: R, charge: Charge): RunResult<R> {
    return { result, charge, amount: charge.amount - charge.refunded_amount, balance: charge.balance ?? null };
}

/** Whether a refused heartbeat says that the charge is no longer pending. */
export function isOver(error: unknown): boolean {
    return error instanceof ApiError && ["charge_already_refunded", "charge_already_settled"].includes(error.code);
}
