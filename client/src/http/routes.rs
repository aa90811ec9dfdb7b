//! The routes of the server, as constants.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited. A constant without a
//! use is a route that the client does not call yet.

use hyper::Method;

use super::route::Route;

/// Check that the process runs.
pub const GET_HEALTHZ: Route = Route::plain(Method::GET, "/healthz");

/// Read the metrics.
pub const GET_METRICS: Route = Route::plain(Method::GET, "/metrics");

/// Check that requests can be taken.
pub const GET_READYZ: Route = Route::plain(Method::GET, "/readyz");

/// Charge in a batch.
pub const POST_CHARGES_BATCH: Route = Route::plain(Method::POST, "/v1/charges/batch");

/// Confirm the clock.
pub const POST_CLOCK_CONFIRM: Route = Route::plain(Method::POST, "/v1/clock/confirm");

/// Read the end of the journal.
pub const GET_JOURNAL_HEAD: Route = Route::plain(Method::GET, "/v1/journal/head");

/// List mails that failed.
pub const GET_MAIL_DELIVERIES: Route = Route::plain(Method::GET, "/v1/mail-deliveries");

/// Report bounces and complaints.
pub const POST_MAIL_EVENTS: Route = Route::plain(Method::POST, "/v1/mail-events");

/// List payments that fit nothing.
pub const GET_PAYMENTS_UNMATCHED: Route = Route::plain(Method::GET, "/v1/payments/unmatched");

/// Get the plans.
pub const GET_PLANS: Route = Route::plain(Method::GET, "/v1/plans");

/// Set the plans.
pub const PUT_PLANS: Route = Route::plain(Method::PUT, "/v1/plans");

/// Get the prices in force.
pub const GET_PRICE_BOOK: Route = Route::plain(Method::GET, "/v1/price-book");

/// Publish prices.
pub const PUT_PRICE_BOOK: Route = Route::plain(Method::PUT, "/v1/price-book");

/// Simulate prices.
pub const POST_PRICE_BOOK_SIMULATE: Route = Route::plain(Method::POST, "/v1/price-book/simulate");

/// List price versions.
pub const GET_PRICE_BOOK_VERSIONS: Route = Route::plain(Method::GET, "/v1/price-book/versions");

/// Read the report of a month.
pub const GET_REPORT: Route = Route::plain(Method::GET, "/v1/report");

/// Get the settings.
pub const GET_SETTINGS: Route = Route::plain(Method::GET, "/v1/settings");

/// Change the settings.
pub const PUT_SETTINGS: Route = Route::plain(Method::PUT, "/v1/settings");

/// List webhook endpoints.
pub const GET_WEBHOOK_ENDPOINTS: Route = Route::plain(Method::GET, "/v1/webhook-endpoints");

/// Create a webhook endpoint.
pub const POST_WEBHOOK_ENDPOINTS: Route = Route::plain(Method::POST, "/v1/webhook-endpoints");

/// Delete a webhook endpoint.
pub const DELETE_WEBHOOK_ENDPOINTS_BY_ENDPOINT: Route =
    Route::plain(Method::DELETE, "/v1/webhook-endpoints/{endpoint}");

/// Get a webhook endpoint.
pub const GET_WEBHOOK_ENDPOINTS_BY_ENDPOINT: Route =
    Route::plain(Method::GET, "/v1/webhook-endpoints/{endpoint}");

/// Change a webhook endpoint.
pub const PATCH_WEBHOOK_ENDPOINTS_BY_ENDPOINT: Route =
    Route::plain(Method::PATCH, "/v1/webhook-endpoints/{endpoint}");

/// List deliveries.
pub const GET_WEBHOOK_ENDPOINTS_BY_ENDPOINT_DELIVERIES: Route =
    Route::plain(Method::GET, "/v1/webhook-endpoints/{endpoint}/deliveries");

/// Send a message again.
pub const POST_WEBHOOK_ENDPOINTS_BY_ENDPOINT_DELIVERIES_BY_DELIVERY_RESEND: Route =
    Route::plain(Method::POST, "/v1/webhook-endpoints/{endpoint}/deliveries/{delivery}/resend");

/// Ping a webhook endpoint.
pub const POST_WEBHOOK_ENDPOINTS_BY_ENDPOINT_PING: Route =
    Route::plain(Method::POST, "/v1/webhook-endpoints/{endpoint}/ping");

/// Rotate the secret of a webhook endpoint.
pub const POST_WEBHOOK_ENDPOINTS_BY_ENDPOINT_ROTATE_SECRET: Route =
    Route::plain(Method::POST, "/v1/webhook-endpoints/{endpoint}/rotate-secret");

/// List workspaces.
pub const GET_WORKSPACES: Route = Route::plain(Method::GET, "/v1/workspaces");

/// Create a workspace.
pub const POST_WORKSPACES: Route = Route::plain(Method::POST, "/v1/workspaces");

/// Get a workspace.
pub const GET_WORKSPACES_BY_WORKSPACE: Route = Route::plain(Method::GET, "/v1/workspaces/{workspace}");

/// Change a workspace.
pub const PATCH_WORKSPACES_BY_WORKSPACE: Route = Route::plain(Method::PATCH, "/v1/workspaces/{workspace}");

/// Get thresholds and recipients.
pub const GET_WORKSPACES_BY_WORKSPACE_ALERTS: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/alerts");

/// Replace thresholds or recipients.
pub const PUT_WORKSPACES_BY_WORKSPACE_ALERTS: Route =
    Route::plain(Method::PUT, "/v1/workspaces/{workspace}/alerts");

/// Mute topics for a recipient.
pub const PUT_WORKSPACES_BY_WORKSPACE_ALERTS_RECIPIENTS_BY_RECIPIENT: Route =
    Route::plain(Method::PUT, "/v1/workspaces/{workspace}/alerts/recipients/{recipient}");

/// Send a test mail.
pub const POST_WORKSPACES_BY_WORKSPACE_ALERTS_TEST: Route =
    Route::plain(Method::POST, "/v1/workspaces/{workspace}/alerts/test");

/// List API keys.
pub const GET_WORKSPACES_BY_WORKSPACE_API_KEYS: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/api-keys");

/// Create an API key.
pub const POST_WORKSPACES_BY_WORKSPACE_API_KEYS: Route =
    Route::plain(Method::POST, "/v1/workspaces/{workspace}/api-keys");

/// Revoke an API key.
pub const DELETE_WORKSPACES_BY_WORKSPACE_API_KEYS_BY_KEY: Route =
    Route::plain(Method::DELETE, "/v1/workspaces/{workspace}/api-keys/{key}");

/// Stop the automatic top-up.
pub const DELETE_WORKSPACES_BY_WORKSPACE_AUTO_TOP_UP: Route =
    Route::plain(Method::DELETE, "/v1/workspaces/{workspace}/auto-top-up");

/// Get the automatic top-up.
pub const GET_WORKSPACES_BY_WORKSPACE_AUTO_TOP_UP: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/auto-top-up");

/// Set the automatic top-up.
pub const PUT_WORKSPACES_BY_WORKSPACE_AUTO_TOP_UP: Route =
    Route::plain(Method::PUT, "/v1/workspaces/{workspace}/auto-top-up");

/// Get the balance.
pub const GET_WORKSPACES_BY_WORKSPACE_BALANCE: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/balance");

/// Make a page for cards and invoices.
pub const POST_WORKSPACES_BY_WORKSPACE_BILLING_PORTAL: Route =
    Route::plain(Method::POST, "/v1/workspaces/{workspace}/billing-portal");

/// Read the burn rate.
pub const GET_WORKSPACES_BY_WORKSPACE_BURN_RATE: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/burn-rate");

/// List charges.
pub const GET_WORKSPACES_BY_WORKSPACE_CHARGES: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/charges");

/// Charge for an operation.
pub const POST_WORKSPACES_BY_WORKSPACE_CHARGES: Route =
    Route::keyed(Method::POST, "/v1/workspaces/{workspace}/charges");

/// Get a charge.
pub const GET_WORKSPACES_BY_WORKSPACE_CHARGES_BY_CHARGE: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/charges/{charge}");

/// Extend the deadline.
pub const POST_WORKSPACES_BY_WORKSPACE_CHARGES_BY_CHARGE_HEARTBEAT: Route =
    Route::plain(Method::POST, "/v1/workspaces/{workspace}/charges/{charge}/heartbeat");

/// Report the outcome.
pub const POST_WORKSPACES_BY_WORKSPACE_CHARGES_BY_CHARGE_OUTCOME: Route =
    Route::plain(Method::POST, "/v1/workspaces/{workspace}/charges/{charge}/outcome");

/// Refund a charge.
pub const POST_WORKSPACES_BY_WORKSPACE_CHARGES_BY_CHARGE_REFUND: Route =
    Route::keyed(Method::POST, "/v1/workspaces/{workspace}/charges/{charge}/refund");

/// List entries.
pub const GET_WORKSPACES_BY_WORKSPACE_ENTRIES: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/entries");

/// List grants.
pub const GET_WORKSPACES_BY_WORKSPACE_GRANTS: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/grants");

/// Grant credit.
pub const POST_WORKSPACES_BY_WORKSPACE_GRANTS: Route =
    Route::keyed(Method::POST, "/v1/workspaces/{workspace}/grants");

/// Void a grant.
pub const POST_WORKSPACES_BY_WORKSPACE_GRANTS_BY_GRANT_VOID: Route =
    Route::keyed(Method::POST, "/v1/workspaces/{workspace}/grants/{grant}/void");

/// Get the limits.
pub const GET_WORKSPACES_BY_WORKSPACE_LIMITS: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/limits");

/// Replace the limits.
pub const PUT_WORKSPACES_BY_WORKSPACE_LIMITS: Route =
    Route::plain(Method::PUT, "/v1/workspaces/{workspace}/limits");

/// List members.
pub const GET_WORKSPACES_BY_WORKSPACE_MEMBERS: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/members");

/// Add a member.
pub const POST_WORKSPACES_BY_WORKSPACE_MEMBERS: Route =
    Route::plain(Method::POST, "/v1/workspaces/{workspace}/members");

/// Remove a member.
pub const DELETE_WORKSPACES_BY_WORKSPACE_MEMBERS_BY_MEMBER: Route =
    Route::plain(Method::DELETE, "/v1/workspaces/{workspace}/members/{member}");

/// Get a member.
pub const GET_WORKSPACES_BY_WORKSPACE_MEMBERS_BY_MEMBER: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/members/{member}");

/// Change a member.
pub const PATCH_WORKSPACES_BY_WORKSPACE_MEMBERS_BY_MEMBER: Route =
    Route::plain(Method::PATCH, "/v1/workspaces/{workspace}/members/{member}");

/// Erase a member's personal data.
pub const DELETE_WORKSPACES_BY_WORKSPACE_MEMBERS_BY_MEMBER_PERSONAL_DATA: Route =
    Route::plain(Method::DELETE, "/v1/workspaces/{workspace}/members/{member}/personal-data");

/// Remove the saved card.
pub const DELETE_WORKSPACES_BY_WORKSPACE_PAYMENT_METHOD: Route =
    Route::plain(Method::DELETE, "/v1/workspaces/{workspace}/payment-method");

/// Get the saved card.
pub const GET_WORKSPACES_BY_WORKSPACE_PAYMENT_METHOD: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/payment-method");

/// Make a page to save a card.
pub const POST_WORKSPACES_BY_WORKSPACE_PAYMENT_METHOD: Route =
    Route::plain(Method::POST, "/v1/workspaces/{workspace}/payment-method");

/// End sessions and links.
pub const DELETE_WORKSPACES_BY_WORKSPACE_PORTAL_SESSIONS: Route =
    Route::plain(Method::DELETE, "/v1/workspaces/{workspace}/portal-sessions");

/// Make a sign-in link.
pub const POST_WORKSPACES_BY_WORKSPACE_PORTAL_SESSIONS: Route =
    Route::plain(Method::POST, "/v1/workspaces/{workspace}/portal-sessions");

/// Quote a charge.
pub const POST_WORKSPACES_BY_WORKSPACE_QUOTE: Route =
    Route::plain(Method::POST, "/v1/workspaces/{workspace}/quote");

/// Stream entries.
pub const GET_WORKSPACES_BY_WORKSPACE_STREAM: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/stream");

/// Cancel the subscription.
pub const DELETE_WORKSPACES_BY_WORKSPACE_SUBSCRIPTION: Route =
    Route::plain(Method::DELETE, "/v1/workspaces/{workspace}/subscription");

/// Get the subscription.
pub const GET_WORKSPACES_BY_WORKSPACE_SUBSCRIPTION: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/subscription");

/// Start or change the subscription.
pub const PUT_WORKSPACES_BY_WORKSPACE_SUBSCRIPTION: Route =
    Route::plain(Method::PUT, "/v1/workspaces/{workspace}/subscription");

/// Confirm a payment of the subscription.
pub const POST_WORKSPACES_BY_WORKSPACE_SUBSCRIPTION_CONFIRM: Route =
    Route::keyed(Method::POST, "/v1/workspaces/{workspace}/subscription/confirm");

/// Preview a plan.
pub const POST_WORKSPACES_BY_WORKSPACE_SUBSCRIPTION_PREVIEW: Route =
    Route::plain(Method::POST, "/v1/workspaces/{workspace}/subscription/preview");

/// List top-ups.
pub const GET_WORKSPACES_BY_WORKSPACE_TOP_UPS: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/top-ups");

/// Open a top-up.
pub const POST_WORKSPACES_BY_WORKSPACE_TOP_UPS: Route =
    Route::keyed(Method::POST, "/v1/workspaces/{workspace}/top-ups");

/// Get a top-up.
pub const GET_WORKSPACES_BY_WORKSPACE_TOP_UPS_BY_TOP_UP: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/top-ups/{top_up}");

/// Confirm a top-up.
pub const POST_WORKSPACES_BY_WORKSPACE_TOP_UPS_BY_TOP_UP_CONFIRM: Route =
    Route::plain(Method::POST, "/v1/workspaces/{workspace}/top-ups/{top_up}/confirm");

/// Refund a top-up.
pub const POST_WORKSPACES_BY_WORKSPACE_TOP_UPS_BY_TOP_UP_REFUND: Route =
    Route::keyed(Method::POST, "/v1/workspaces/{workspace}/top-ups/{top_up}/refund");

/// Read the use of a range.
pub const GET_WORKSPACES_BY_WORKSPACE_USAGE: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/usage");

/// Read what changed in the use.
pub const GET_WORKSPACES_BY_WORKSPACE_USAGE_CHANGES: Route =
    Route::plain(Method::GET, "/v1/workspaces/{workspace}/usage/changes");
