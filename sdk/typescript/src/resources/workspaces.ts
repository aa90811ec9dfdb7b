// Workspaces and what is set for them: members, keys, links, limits, alerts.

import { path } from "../call.js";
import type { Call, CallOptions } from "../call.js";
import { Pages } from "../pages.js";
import type { Sender } from "../sender.js";
import type {
    Alerts,
    AlertsRequest,
    ApiKey,
    ApiKeyRequest,
    Balance,
    BalanceQuery,
    Deliveries,
    Limits,
    LimitsRequest,
    MailEvents,
    MailEventsResult,
    MailTest,
    Member,
    MemberChanges,
    MemberRequest,
    MutedTopics,
    PageQuery,
    PortalSession,
    PortalSessionRequest,
    PortalSessionsQuery,
    Workspace,
    WorkspaceChanges,
    WorkspaceRequest,
    WorkspacesQuery,
} from "../types.js";

/** Workspaces: the tenants, each with one pool of credit. */
export class Workspaces {
    constructor(private readonly sender: Sender) {}

    /** Creates a workspace with no credit. */
    create(request: WorkspaceRequest, options: CallOptions = {}): Promise<Workspace> {
        const call: Call<Workspace> = {
            method: "POST",
            path: "/v1/workspaces",
            body: request,
            isRepeatable: false,
        };
        return this.sender.send(call, options);
    }

    /** Lists workspaces, newest first. */
    list(query: WorkspacesQuery = {}, options: CallOptions = {}): Pages<Workspace> {
        return new Pages(this.sender, "/v1/workspaces", query, options);
    }

    /** Returns a workspace. */
    get(workspace: string, options: CallOptions = {}): Promise<Workspace> {
        const call: Call<Workspace> = { method: "GET", path: path`/v1/workspaces/${workspace}` };
        return this.sender.send(call, options);
    }

    /** Changes the fields that are given. */
    update(workspace: string, request: WorkspaceChanges, options: CallOptions = {}): Promise<Workspace> {
        const call: Call<Workspace> = {
            method: "PATCH",
            path: path`/v1/workspaces/${workspace}`,
            body: request,
        };
        return this.sender.send(call, options);
    }

    /** Returns the balance, now or at a past instant. */
    balance(workspace: string, query: BalanceQuery = {}, options: CallOptions = {}): Promise<Balance> {
        const call: Call<Balance> = { method: "GET", path: path`/v1/workspaces/${workspace}/balance`, query };
        return this.sender.send(call, options);
    }
}

/** Members: the people of a workspace. */
export class Members {
    constructor(private readonly sender: Sender) {}

    /** Adds a member. */
    create(workspace: string, request: MemberRequest, options: CallOptions = {}): Promise<Member> {
        const call: Call<Member> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/members`,
            body: request,
            isRepeatable: false,
        };
        return this.sender.send(call, options);
    }

    /** Lists the members. */
    list(workspace: string, query: PageQuery = {}, options: CallOptions = {}): Pages<Member> {
        return new Pages(this.sender, path`/v1/workspaces/${workspace}/members`, query, options);
    }

    /** Returns a member. */
    get(workspace: string, member: string, options: CallOptions = {}): Promise<Member> {
        const call: Call<Member> = { method: "GET", path: path`/v1/workspaces/${workspace}/members/${member}` };
        return this.sender.send(call, options);
    }

    /** Changes the fields that are given. */
    update(
        workspace: string,
        member: string,
        request: MemberChanges,
        options: CallOptions = {},
    ): Promise<Member> {
        const call: Call<Member> = {
            method: "PATCH",
            path: path`/v1/workspaces/${workspace}/members/${member}`,
            body: request,
        };
        return this.sender.send(call, options);
    }

    /** Removes a member. */
    delete(workspace: string, member: string, options: CallOptions = {}): Promise<void> {
        const call: Call<void> = {
            method: "DELETE",
            path: path`/v1/workspaces/${workspace}/members/${member}`,
        };
        return this.sender.send(call, options);
    }

    /** Erases the name and the address of a removed member. */
    deletePersonalData(workspace: string, member: string, options: CallOptions = {}): Promise<void> {
        const call: Call<void> = {
            method: "DELETE",
            path: path`/v1/workspaces/${workspace}/members/${member}/personal-data`,
        };
        return this.sender.send(call, options);
    }
}

/** API keys of a workspace. */
export class ApiKeys {
    constructor(private readonly sender: Sender) {}

    /** Makes a key. Only this answer has its `secret`. */
    create(workspace: string, request: ApiKeyRequest, options: CallOptions = {}): Promise<ApiKey> {
        const call: Call<ApiKey> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/api-keys`,
            body: request,
            isRepeatable: false,
        };
        return this.sender.send(call, options);
    }

    /** Lists the keys, without their secrets. */
    list(workspace: string, query: PageQuery = {}, options: CallOptions = {}): Pages<ApiKey> {
        return new Pages(this.sender, path`/v1/workspaces/${workspace}/api-keys`, query, options);
    }

    /** Revokes a key. */
    delete(workspace: string, apiKey: string, options: CallOptions = {}): Promise<void> {
        const call: Call<void> = {
            method: "DELETE",
            path: path`/v1/workspaces/${workspace}/api-keys/${apiKey}`,
        };
        return this.sender.send(call, options);
    }
}

/** Links that sign members in to the dashboard. */
export class PortalSessions {
    constructor(private readonly sender: Sender) {}

    /** Makes a link that works once and for ten minutes. */
    create(
        workspace: string,
        request: PortalSessionRequest,
        options: CallOptions = {},
    ): Promise<PortalSession> {
        const call: Call<PortalSession> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/portal-sessions`,
            body: request,
            isRepeatable: false,
        };
        return this.sender.send(call, options);
    }

    /** Signs out a member, or all. */
    delete(workspace: string, query: PortalSessionsQuery = {}, options: CallOptions = {}): Promise<void> {
        const call: Call<void> = {
            method: "DELETE",
            path: path`/v1/workspaces/${workspace}/portal-sessions`,
            query,
        };
        return this.sender.send(call, options);
    }
}

/** Spending limits of a workspace. */
export class LimitSettings {
    constructor(private readonly sender: Sender) {}

    /** Returns the limits and what is left of them. */
    get(workspace: string, options: CallOptions = {}): Promise<Limits> {
        const call: Call<Limits> = { method: "GET", path: path`/v1/workspaces/${workspace}/limits` };
        return this.sender.send(call, options);
    }

    /** Replaces all limits. */
    set(workspace: string, request: LimitsRequest, options: CallOptions = {}): Promise<Limits> {
        const call: Call<Limits> = {
            method: "PUT",
            path: path`/v1/workspaces/${workspace}/limits`,
            body: request,
        };
        return this.sender.send(call, options);
    }
}

/** Thresholds, and who gets mails about them. */
export class AlertSettings {
    constructor(private readonly sender: Sender) {}

    /** Returns thresholds and recipients. */
    get(workspace: string, options: CallOptions = {}): Promise<Alerts> {
        const call: Call<Alerts> = { method: "GET", path: path`/v1/workspaces/${workspace}/alerts` };
        return this.sender.send(call, options);
    }

    /** Replaces what is given. */
    set(workspace: string, request: AlertsRequest, options: CallOptions = {}): Promise<Alerts> {
        const call: Call<Alerts> = {
            method: "PUT",
            path: path`/v1/workspaces/${workspace}/alerts`,
            body: request,
        };
        return this.sender.send(call, options);
    }

    /** Sets the topics that a recipient does not get. */
    mute(
        workspace: string,
        recipient: string,
        request: MutedTopics,
        options: CallOptions = {},
    ): Promise<Alerts> {
        const call: Call<Alerts> = {
            method: "PUT",
            path: path`/v1/workspaces/${workspace}/alerts/recipients/${recipient}`,
            body: request,
        };
        return this.sender.send(call, options);
    }

    /** Sends a mail to all recipients. */
    test(workspace: string, options: CallOptions = {}): Promise<MailTest> {
        const call: Call<MailTest> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/alerts/test`,
            isRepeatable: false,
        };
        return this.sender.send(call, options);
    }

    /** Returns the newest attempts to send mails. */
    mailDeliveries(options: CallOptions = {}): Promise<Deliveries> {
        const call: Call<Deliveries> = { method: "GET", path: "/v1/mail-deliveries" };
        return this.sender.send(call, options);
    }

    /** Takes bounces and complaints from the mail relay. */
    mailEvents(request: MailEvents, options: CallOptions = {}): Promise<MailEventsResult> {
        const call: Call<MailEventsResult> = {
            method: "POST",
            path: "/v1/mail-events",
            body: request,
            isRepeatable: false,
        };
        return this.sender.send(call, options);
    }
}
