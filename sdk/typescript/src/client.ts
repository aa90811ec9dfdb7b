// The client: its settings, its resources, and `run`.

import type { Bounds } from "./attempts.js";
import { boundsOf } from "./attempts.js";
import type { KeyedOptions } from "./call.js";
import { OutcomeNotReportedError } from "./errors.js";
import { AutoTopUps, Charges, Grants, Subscriptions, TopUps } from "./resources/credit.js";
import { PlanCatalogue, PlatformSettings, PriceBooks } from "./resources/platform.js";
import { Journal, Reports, Usages, WebhookEndpoints } from "./resources/watching.js";
import { AlertSettings, ApiKeys, LimitSettings, Members, PortalSessions, Workspaces } from "./resources/workspaces.js";
import { deadlineSeconds, failed, finished, isOver, isRefundedAnyway, opening } from "./running.js";
import { refuseReplay, Running, succeeded, type RunResult } from "./running.js";
import { Sender } from "./sender.js";
import type { Charge, ChargeRequest } from "./types.js";

const BOUNDS: Bounds = { attemptTimeoutSeconds: 30, totalTimeoutSeconds: 60, maxAttempts: 4 };

export interface ClientOptions {
    /** The longest that one attempt of a call may take; 30. */
    attemptTimeoutSeconds?: number;
    /** The longest that all attempts of a call with their pauses may take; 60. */
    totalTimeoutSeconds?: number;
    /** How often a call is sent at most; 4. */
    maxAttempts?: number;
    /** Used instead of the global `fetch`. */
    fetch?: typeof globalThis.fetch;
    /** Called if a failure could not be reported; else the console is warned. */
    onUnreportedOutcome?: (charge: Charge, error: unknown) => void;
}

/** A client of one server with one key. */
export class Client {
    readonly workspaces: Workspaces;
    readonly members: Members;
    readonly apiKeys: ApiKeys;
    readonly portalSessions: PortalSessions;
    readonly charges: Charges;
    readonly grants: Grants;
    readonly topUps: TopUps;
    readonly autoTopUp: AutoTopUps;
    readonly subscription: Subscriptions;
    readonly usage: Usages;
    readonly limits: LimitSettings;
    readonly alerts: AlertSettings;
    readonly journal: Journal;
    readonly report: Reports;
    readonly webhookEndpoints: WebhookEndpoints;
    readonly priceBook: PriceBooks;
    readonly plans: PlanCatalogue;
    readonly platform: PlatformSettings;
    private readonly sender: Sender;
    private readonly onUnreportedOutcome: (charge: Charge, error: unknown) => void;

    constructor(baseUrl: string, key: string, options: ClientOptions = {}) {
        const fetch = options.fetch ?? ((url, init) => globalThis.fetch(url, init));
        const sender = new Sender(baseUrl, key, boundsOf(BOUNDS, options), fetch);
        this.sender = sender;
        this.onUnreportedOutcome = options.onUnreportedOutcome ?? warn;
        this.workspaces = new Workspaces(sender);
        this.members = new Members(sender);
        this.apiKeys = new ApiKeys(sender);
        this.portalSessions = new PortalSessions(sender);
        this.charges = new Charges(sender);
        this.grants = new Grants(sender);
        this.topUps = new TopUps(sender);
        this.autoTopUp = new AutoTopUps(sender);
        this.subscription = new Subscriptions(sender);
        this.usage = new Usages(sender);
        this.limits = new LimitSettings(sender);
        this.alerts = new AlertSettings(sender);
        this.journal = new Journal(sender);
        this.report = new Reports(sender);
        this.webhookEndpoints = new WebhookEndpoints(sender);
        this.priceBook = new PriceBooks(sender);
        this.plans = new PlanCatalogue(sender);
        this.platform = new PlatformSettings(sender);
    }

    /**
     * Charges, calls the function, and reports its outcome.
     *
     * The function is not called if the charge is refused. A `UserError` keeps the charge; any
     * other error refunds it, for which the key needs the scope `settle`. Errors of the function
     * are thrown again. While it runs, heartbeats move the deadline of the charge, which is
     * `timeout_seconds` of the request or 60 seconds.
     */
    async run<R>(
        workspace: string,
        request: ChargeRequest,
        operation: (running: Running) => R | Promise<R>,
        options: KeyedOptions = {},
    ): Promise<RunResult<R>> {
        const { value: charge, attempts } = await this.sender.sendCounted(opening(workspace, request), options);
        refuseReplay(charge, attempts);
        const running = new Running(charge);
        const stop = this.beat(workspace, running, deadlineSeconds(request));
        let result: R;
        try {
            result = await operation(running);
        } catch (error) {
            await this.reportFailure(workspace, charge, error);
            throw error;
        } finally {
            stop();
        }
        let settled: Charge;
        try {
            settled = await this.charges.reportOutcome(workspace, charge.id, succeeded(running));
        } catch (error) {
            throw new OutcomeNotReportedError(charge, result, { cause: error });
        }
        return finished(result, settled);
    }

    /** Moves the deadline again and again. Returns what ends that. */
    private beat(workspace: string, running: Running, seconds: number): () => void {
        const ended = new AbortController();
        const options = { totalTimeoutSeconds: seconds / 3, signal: ended.signal };
        let timer: NodeJS.Timeout;
        const next = () => {
            timer = setTimeout(async () => {
                try {
                    await this.charges.heartbeat(workspace, running.charge.id, { extend_seconds: seconds }, options);
                } catch (error) {
                    if (!ended.signal.aborted && isOver(error)) running.lose(error);
                }
                if (!ended.signal.aborted && !running.isLost) next();
            }, (seconds * 1000) / 3);
        };
        next();
        return () => {
            clearTimeout(timer);
            ended.abort();
        };
    }

    /** Reports the failure. If that fails, the charge is refunded at its deadline. */
    private async reportFailure(workspace: string, charge: Charge, error: unknown): Promise<void> {
        try {
            await this.charges.reportOutcome(workspace, charge.id, failed(error));
        } catch (unreported) {
            if (!isRefundedAnyway(error, unreported)) this.onUnreportedOutcome(charge, unreported);
        }
    }
}

function warn(charge: Charge, error: unknown): void {
    console.warn(`the failed run of ${charge.id} was not reported (${String(error)}); its deadline refunds it`);
}
