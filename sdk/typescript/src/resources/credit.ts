// Credit that goes out and comes in: charges, grants, top-ups, subscriptions.

import { path } from "../call.js";
import type {
    Call,
    CallOptions,
    KeyedCharge,
    KeyedGrant,
    KeyedOptions,
    KeyedPaymentRefund,
    KeyedSubscription,
    KeyedTopUp,
} from "../call.js";
import { Pages } from "../pages.js";
import type { Sender } from "../sender.js";
import type {
    AutoTopUp,
    AutoTopUpRequest,
    Batch,
    BatchRequest,
    Charge,
    ChargeRequest,
    ChargesQuery,
    Grant,
    GrantRequest,
    HeartbeatRequest,
    OutcomeRequest,
    PageQuery,
    PaymentMethod,
    PaymentPage,
    PaymentPageRequest,
    PaymentRefundRequest,
    Quote,
    QuoteRequest,
    RefundRequest,
    Subscription,
    SubscriptionConfirmRequest,
    SubscriptionPreview,
    SubscriptionRequest,
    TopUp,
    TopUpRequest,
    UnmatchedPayment,
    VoidRequest,
} from "../types.js";

/** Charges: the deductions for runs of operations. */
export class Charges {
    constructor(private readonly sender: Sender) {}

    /** Deducts the price before the operation runs, or raises a `PaymentRequiredError`. */
    create(workspace: string, request: ChargeRequest, options: KeyedOptions = {}): Promise<KeyedCharge> {
        const call: Call<KeyedCharge> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/charges`,
            body: request,
            isKeyed: true,
            isAboutCharge: true,
        };
        return this.sender.send(call, options);
    }

    /** Lists charges, newest first. */
    list(workspace: string, query: ChargesQuery = {}, options: CallOptions = {}): Pages<Charge> {
        return new Pages(this.sender, path`/v1/workspaces/${workspace}/charges`, query, options);
    }

    /** Returns a charge with its draws and refunds. */
    get(workspace: string, charge: string, options: CallOptions = {}): Promise<Charge> {
        const call: Call<Charge> = { method: "GET", path: path`/v1/workspaces/${workspace}/charges/${charge}` };
        return this.sender.send(call, options);
    }

    /** Makes up to 1,000 charges. Each item has its own key and its own result. */
    batch(request: BatchRequest, options: CallOptions = {}): Promise<Batch> {
        const call: Call<Batch> = { method: "POST", path: "/v1/charges/batch", body: request };
        return this.sender.send(call, options);
    }

    /** Reports what became of the operation. */
    reportOutcome(
        workspace: string,
        charge: string,
        request: OutcomeRequest,
        options: CallOptions = {},
    ): Promise<Charge> {
        const call: Call<Charge> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/charges/${charge}/outcome`,
            body: request,
        };
        return this.sender.send(call, options);
    }

    /** Moves the deadline of a pending charge. */
    heartbeat(
        workspace: string,
        charge: string,
        request: HeartbeatRequest,
        options: CallOptions = {},
    ): Promise<Charge> {
        const call: Call<Charge> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/charges/${charge}/heartbeat`,
            body: request,
        };
        return this.sender.send(call, options);
    }

    /** Gives back a charge, wholly or partly. */
    refund(
        workspace: string,
        charge: string,
        request: RefundRequest,
        options: KeyedOptions = {},
    ): Promise<KeyedCharge> {
        const call: Call<KeyedCharge> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/charges/${charge}/refund`,
            body: request,
            isKeyed: true,
            isAboutCharge: true,
        };
        return this.sender.send(call, options);
    }

    /** Says what a charge would cost, and moves nothing. */
    quote(workspace: string, request: QuoteRequest, options: CallOptions = {}): Promise<Quote> {
        const call: Call<Quote> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/quote`,
            body: request,
        };
        return this.sender.send(call, options);
    }
}

/** Grants: the lots of credit that came in. */
export class Grants {
    constructor(private readonly sender: Sender) {}

    /** Grants credit. */
    create(workspace: string, request: GrantRequest, options: KeyedOptions = {}): Promise<KeyedGrant> {
        const call: Call<KeyedGrant> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/grants`,
            body: request,
            isKeyed: true,
        };
        return this.sender.send(call, options);
    }

    /** Lists grants, newest first. */
    list(workspace: string, query: PageQuery = {}, options: CallOptions = {}): Pages<Grant> {
        return new Pages(this.sender, path`/v1/workspaces/${workspace}/grants`, query, options);
    }

    /** Takes back what is unspent. */
    void(
        workspace: string,
        grant: string,
        request: VoidRequest = {},
        options: KeyedOptions = {},
    ): Promise<KeyedGrant> {
        const call: Call<KeyedGrant> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/grants/${grant}/void`,
            body: request,
            isKeyed: true,
        };
        return this.sender.send(call, options);
    }
}

/** Top-ups: credit that is bought. */
export class TopUps {
    constructor(private readonly sender: Sender) {}

    /** Begins a top-up. Credit comes after the money. */
    create(workspace: string, request: TopUpRequest, options: KeyedOptions = {}): Promise<KeyedTopUp> {
        const call: Call<KeyedTopUp> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/top-ups`,
            body: request,
            isKeyed: true,
        };
        return this.sender.send(call, options);
    }

    /** Lists top-ups, newest first. */
    list(workspace: string, query: PageQuery = {}, options: CallOptions = {}): Pages<TopUp> {
        return new Pages(this.sender, path`/v1/workspaces/${workspace}/top-ups`, query, options);
    }

    /** Returns a top-up. */
    get(workspace: string, topUp: string, options: CallOptions = {}): Promise<TopUp> {
        const call: Call<TopUp> = { method: "GET", path: path`/v1/workspaces/${workspace}/top-ups/${topUp}` };
        return this.sender.send(call, options);
    }

    /** Confirms a payment by hand. Twice changes nothing. */
    confirm(workspace: string, topUp: string, options: CallOptions = {}): Promise<TopUp> {
        const call: Call<TopUp> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/top-ups/${topUp}/confirm`,
        };
        return this.sender.send(call, options);
    }

    /** Gives money back for unspent credit. */
    refund(
        workspace: string,
        topUp: string,
        request: PaymentRefundRequest,
        options: KeyedOptions = {},
    ): Promise<KeyedPaymentRefund> {
        const call: Call<KeyedPaymentRefund> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/top-ups/${topUp}/refund`,
            body: request,
            isKeyed: true,
        };
        return this.sender.send(call, options);
    }

    /** Lists payments that fit nothing. */
    unmatched(query: PageQuery = {}, options: CallOptions = {}): Pages<UnmatchedPayment> {
        return new Pages(this.sender, "/v1/payments/unmatched", query, options);
    }
}

/** Automatic top-ups, the saved card, and the payment provider's page. */
export class AutoTopUps {
    constructor(private readonly sender: Sender) {}

    /** Returns when credit is bought. */
    get(workspace: string, options: CallOptions = {}): Promise<AutoTopUp> {
        const call: Call<AutoTopUp> = { method: "GET", path: path`/v1/workspaces/${workspace}/auto-top-up` };
        return this.sender.send(call, options);
    }

    /** Sets when credit is bought. */
    set(workspace: string, request: AutoTopUpRequest, options: CallOptions = {}): Promise<AutoTopUp> {
        const call: Call<AutoTopUp> = {
            method: "PUT",
            path: path`/v1/workspaces/${workspace}/auto-top-up`,
            body: request,
        };
        return this.sender.send(call, options);
    }

    /** Stops automatic top-ups. */
    delete(workspace: string, options: CallOptions = {}): Promise<void> {
        const call: Call<void> = { method: "DELETE", path: path`/v1/workspaces/${workspace}/auto-top-up` };
        return this.sender.send(call, options);
    }

    /** Makes a link to save a card. */
    saveCard(workspace: string, request: PaymentPageRequest, options: CallOptions = {}): Promise<PaymentPage> {
        const call: Call<PaymentPage> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/payment-method`,
            body: request,
            isRepeatable: false,
        };
        return this.sender.send(call, options);
    }

    /** Returns the saved card. */
    card(workspace: string, options: CallOptions = {}): Promise<PaymentMethod> {
        const call: Call<PaymentMethod> = {
            method: "GET",
            path: path`/v1/workspaces/${workspace}/payment-method`,
        };
        return this.sender.send(call, options);
    }

    /** Deletes the card and stops automatic top-ups. */
    deleteCard(workspace: string, options: CallOptions = {}): Promise<void> {
        const call: Call<void> = { method: "DELETE", path: path`/v1/workspaces/${workspace}/payment-method` };
        return this.sender.send(call, options);
    }

    /** Makes a link to the payment provider's page. */
    billingPortal(
        workspace: string,
        request: PaymentPageRequest,
        options: CallOptions = {},
    ): Promise<PaymentPage> {
        const call: Call<PaymentPage> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/billing-portal`,
            body: request,
            isRepeatable: false,
        };
        return this.sender.send(call, options);
    }
}

/** The subscription of a workspace to a plan. */
export class Subscriptions {
    constructor(private readonly sender: Sender) {}

    /** Returns the subscription. */
    get(workspace: string, options: CallOptions = {}): Promise<Subscription> {
        const call: Call<Subscription> = {
            method: "GET",
            path: path`/v1/workspaces/${workspace}/subscription`,
        };
        return this.sender.send(call, options);
    }

    /** Begins a subscription, or changes its plan. */
    set(workspace: string, request: SubscriptionRequest, options: CallOptions = {}): Promise<Subscription> {
        const call: Call<Subscription> = {
            method: "PUT",
            path: path`/v1/workspaces/${workspace}/subscription`,
            body: request,
        };
        return this.sender.send(call, options);
    }

    /** Cancels at the end of the period. Credits stay. */
    cancel(workspace: string, options: CallOptions = {}): Promise<Subscription> {
        const call: Call<Subscription> = {
            method: "DELETE",
            path: path`/v1/workspaces/${workspace}/subscription`,
        };
        return this.sender.send(call, options);
    }

    /** Confirms a payment by hand. */
    confirm(
        workspace: string,
        request: SubscriptionConfirmRequest = {},
        options: KeyedOptions = {},
    ): Promise<KeyedSubscription> {
        const call: Call<KeyedSubscription> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/subscription/confirm`,
            body: request,
            isKeyed: true,
        };
        return this.sender.send(call, options);
    }

    /** Says what a change would cost, and changes nothing. */
    preview(
        workspace: string,
        request: SubscriptionRequest,
        options: CallOptions = {},
    ): Promise<SubscriptionPreview> {
        const call: Call<SubscriptionPreview> = {
            method: "POST",
            path: path`/v1/workspaces/${workspace}/subscription/preview`,
            body: request,
        };
        return this.sender.send(call, options);
    }
}
