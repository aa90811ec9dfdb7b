// What was used and what happened: usage, journal, reports, webhook endpoints.

import { path } from "../call.js";
import type { Call, CallOptions, EntriesAfter } from "../call.js";
import { Pages } from "../pages.js";
import type { Sender } from "../sender.js";
import type { StreamEvent, StreamOptions } from "../stream.js";
import type {
    BurnRate,
    BurnRateQuery,
    Deliveries,
    DeliveryAttempt,
    DeliveryException,
    EntriesQuery,
    Entry,
    JournalHead,
    PageQuery,
    Report,
    ReportQuery,
    StreamQuery,
    Usage,
    UsageChanges,
    UsageChangesQuery,
    UsageQuery,
    WebhookEndpoint,
    WebhookEndpointChanges,
    WebhookEndpointRequest,
} from "../types.js";

/** What was used, by what and whom. */
export class Usages {
    constructor(private readonly sender: Sender) {}

    /** Adds up the use of a range. */
    get(workspace: string, query: UsageQuery = {}, options: CallOptions = {}): Promise<Usage> {
        const call: Call<Usage> = { method: "GET", path: path`/v1/workspaces/${workspace}/usage`, query };
        return this.sender.send(call, options);
    }

    /** The rows of `get` as comma-separated values. */
    getCsv(workspace: string, query: UsageQuery = {}, options: CallOptions = {}): Promise<string> {
        const call: Call<string> = {
            method: "GET",
            path: path`/v1/workspaces/${workspace}/usage`,
            query,
            accept: "text/csv",
        };
        return this.sender.send(call, options);
    }

    /** Compares the use of two ranges. */
    changes(
        workspace: string,
        query: UsageChangesQuery = {},
        options: CallOptions = {},
    ): Promise<UsageChanges> {
        const call: Call<UsageChanges> = {
            method: "GET",
            path: path`/v1/workspaces/${workspace}/usage/changes`,
            query,
        };
        return this.sender.send(call, options);
    }

    /** The rows of `changes` as comma-separated values. */
    changesCsv(workspace: string, query: UsageChangesQuery = {}, options: CallOptions = {}): Promise<string> {
        const call: Call<string> = {
            method: "GET",
            path: path`/v1/workspaces/${workspace}/usage/changes`,
            query,
            accept: "text/csv",
        };
        return this.sender.send(call, options);
    }

    /** Says how fast credit is used and how long it lasts. */
    burnRate(workspace: string, query: BurnRateQuery = {}, options: CallOptions = {}): Promise<BurnRate> {
        const call: Call<BurnRate> = {
            method: "GET",
            path: path`/v1/workspaces/${workspace}/burn-rate`,
            query,
        };
        return this.sender.send(call, options);
    }
}

/** The journal, which is the audit log. */
export class Journal {
    constructor(private readonly sender: Sender) {}

    /** Lists entries, newest first. */
    entries(workspace: string, query: PageQuery = {}, options: CallOptions = {}): Pages<Entry> {
        return new Pages(this.sender, path`/v1/workspaces/${workspace}/entries`, query, options);
    }

    /** Returns entries behind the position `after`, oldest first. `wait` waits for the next. */
    entriesAfter(
        workspace: string,
        query: EntriesQuery = {},
        options: CallOptions = {},
    ): Promise<EntriesAfter> {
        const call: Call<EntriesAfter> = {
            method: "GET",
            path: path`/v1/workspaces/${workspace}/entries`,
            query,
            waitSeconds: query.wait ?? 0,
        };
        return this.sender.send(call, options);
    }

    /** Gives events as they happen. Ends with the connection; continue behind the last `id`. */
    stream(workspace: string, query: StreamQuery = {}, options: StreamOptions = {}): AsyncGenerator<StreamEvent> {
        return this.sender.stream(path`/v1/workspaces/${workspace}/stream`, query, options);
    }

    /** Returns the last place and its hash. */
    head(options: CallOptions = {}): Promise<JournalHead> {
        const call: Call<JournalHead> = { method: "GET", path: "/v1/journal/head" };
        return this.sender.send(call, options);
    }
}

/** The month for finance. */
export class Reports {
    constructor(private readonly sender: Sender) {}

    /** Returns what was bought, used and is owed in a month. */
    get(query: ReportQuery = {}, options: CallOptions = {}): Promise<Report> {
        const call: Call<Report> = { method: "GET", path: "/v1/report", query };
        return this.sender.send(call, options);
    }

    /** The numbers of `get` as comma-separated values. */
    getCsv(query: ReportQuery = {}, options: CallOptions = {}): Promise<string> {
        const call: Call<string> = { method: "GET", path: "/v1/report", query, accept: "text/csv" };
        return this.sender.send(call, options);
    }
}

/** Endpoints that get messages about what happens. */
export class WebhookEndpoints {
    constructor(private readonly sender: Sender) {}

    /** Adds an endpoint. Only this answer and `rotateSecret` have its `secret`. */
    create(request: WebhookEndpointRequest, options: CallOptions = {}): Promise<WebhookEndpoint> {
        const call: Call<WebhookEndpoint> = {
            method: "POST",
            path: "/v1/webhook-endpoints",
            body: request,
            isRepeatable: false,
        };
        return this.sender.send(call, options);
    }

    /** Lists the endpoints. */
    list(query: PageQuery = {}, options: CallOptions = {}): Pages<WebhookEndpoint> {
        return new Pages(this.sender, "/v1/webhook-endpoints", query, options);
    }

    /** Returns an endpoint. */
    get(endpoint: string, options: CallOptions = {}): Promise<WebhookEndpoint> {
        const call: Call<WebhookEndpoint> = { method: "GET", path: path`/v1/webhook-endpoints/${endpoint}` };
        return this.sender.send(call, options);
    }

    /** Changes the fields that are given. */
    update(
        endpoint: string,
        request: WebhookEndpointChanges,
        options: CallOptions = {},
    ): Promise<WebhookEndpoint> {
        const call: Call<WebhookEndpoint> = {
            method: "PATCH",
            path: path`/v1/webhook-endpoints/${endpoint}`,
            body: request,
        };
        return this.sender.send(call, options);
    }

    /** Removes an endpoint. */
    delete(endpoint: string, options: CallOptions = {}): Promise<void> {
        const call: Call<void> = { method: "DELETE", path: path`/v1/webhook-endpoints/${endpoint}` };
        return this.sender.send(call, options);
    }

    /** Makes a new secret. For 24 hours both sign. */
    rotateSecret(endpoint: string, options: CallOptions = {}): Promise<WebhookEndpoint> {
        const call: Call<WebhookEndpoint> = {
            method: "POST",
            path: path`/v1/webhook-endpoints/${endpoint}/rotate-secret`,
            isRepeatable: false,
        };
        return this.sender.send(call, options);
    }

    /** Sends a message and says what came back. */
    ping(endpoint: string, options: CallOptions = {}): Promise<DeliveryAttempt> {
        const call: Call<DeliveryAttempt> = {
            method: "POST",
            path: path`/v1/webhook-endpoints/${endpoint}/ping`,
            isRepeatable: false,
        };
        return this.sender.send(call, options);
    }

    /** Returns what failed and the newest attempts. */
    deliveries(endpoint: string, options: CallOptions = {}): Promise<Deliveries> {
        const call: Call<Deliveries> = {
            method: "GET",
            path: path`/v1/webhook-endpoints/${endpoint}/deliveries`,
        };
        return this.sender.send(call, options);
    }

    /** Sends a message again, at once. */
    resend(endpoint: string, delivery: string, options: CallOptions = {}): Promise<DeliveryException> {
        const call: Call<DeliveryException> = {
            method: "POST",
            path: path`/v1/webhook-endpoints/${endpoint}/deliveries/${delivery}/resend`,
            isRepeatable: false,
        };
        return this.sender.send(call, options);
    }
}
