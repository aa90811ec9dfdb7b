// What holds for all workspaces: prices, plans, settings, the server.

import type { Call, CallOptions } from "../call.js";
import { Pages } from "../pages.js";
import type { Sender } from "../sender.js";
import type {
    Clock,
    Health,
    PageQuery,
    Plans,
    PlansRequest,
    PriceBook,
    PriceBookRequest,
    PriceSimulation,
    PriceSimulationRequest,
    Settings,
    SettingsRequest,
} from "../types.js";

/** The price book: operations and their prices. */
export class PriceBooks {
    constructor(private readonly sender: Sender) {}

    /** Returns the version in force. */
    get(options: CallOptions = {}): Promise<PriceBook> {
        const call: Call<PriceBook> = { method: "GET", path: "/v1/price-book" };
        return this.sender.send(call, options);
    }

    /** Publishes a version. */
    set(request: PriceBookRequest, options: CallOptions = {}): Promise<PriceBook> {
        const call: Call<PriceBook> = { method: "PUT", path: "/v1/price-book", body: request };
        return this.sender.send(call, options);
    }

    /** Lists all versions, newest first. */
    versions(query: PageQuery = {}, options: CallOptions = {}): Pages<PriceBook> {
        return new Pages(this.sender, "/v1/price-book/versions", query, options);
    }

    /** Prices past charges by a draft. */
    simulate(request: PriceSimulationRequest, options: CallOptions = {}): Promise<PriceSimulation> {
        const call: Call<PriceSimulation> = { method: "POST", path: "/v1/price-book/simulate", body: request };
        return this.sender.send(call, options);
    }
}

/** The plans that workspaces can subscribe to. */
export class PlanCatalogue {
    constructor(private readonly sender: Sender) {}

    /** Returns the plans. */
    get(options: CallOptions = {}): Promise<Plans> {
        const call: Call<Plans> = { method: "GET", path: "/v1/plans" };
        return this.sender.send(call, options);
    }

    /** Publishes a version of the plans. */
    set(request: PlansRequest, options: CallOptions = {}): Promise<Plans> {
        const call: Call<Plans> = { method: "PUT", path: "/v1/plans", body: request };
        return this.sender.send(call, options);
    }
}

/** Settings, the clock and the state of the server. */
export class PlatformSettings {
    constructor(private readonly sender: Sender) {}

    /** Returns the settings of the ledger. */
    get(options: CallOptions = {}): Promise<Settings> {
        const call: Call<Settings> = { method: "GET", path: "/v1/settings" };
        return this.sender.send(call, options);
    }

    /** Changes the settings of the ledger. */
    set(request: SettingsRequest, options: CallOptions = {}): Promise<Settings> {
        const call: Call<Settings> = { method: "PUT", path: "/v1/settings", body: request };
        return this.sender.send(call, options);
    }

    /** Confirms the clock, so that held timers go on. */
    confirmClock(options: CallOptions = {}): Promise<Clock> {
        const call: Call<Clock> = { method: "POST", path: "/v1/clock/confirm" };
        return this.sender.send(call, options);
    }

    /** Says that the process runs. */
    health(options: CallOptions = {}): Promise<Health> {
        const call: Call<Health> = { method: "GET", path: "/healthz" };
        return this.sender.send(call, options);
    }

    /** Says whether the server serves requests, or raises a 503. */
    ready(options: CallOptions = {}): Promise<Health> {
        const call: Call<Health> = { method: "GET", path: "/readyz" };
        return this.sender.send(call, options);
    }

    /** Returns the metrics for Prometheus. */
    metrics(options: CallOptions = {}): Promise<string> {
        const call: Call<string> = { method: "GET", path: "/metrics", accept: "text/plain" };
        return this.sender.send(call, options);
    }
}
