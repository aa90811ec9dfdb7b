//! Every resource of the client, called at least once.

use tollkeeper_client::types::{
    AlertsRequest, ApiKeyRequest, AutoTopUpRequest, BalanceQuery, BatchItem, BatchRequest, BurnRateQuery,
    ChargeRequest, GrantRequest, HeartbeatRequest, LimitRequest, LimitsRequest, MailEvents, MemberChanges,
    MemberRequest, MutedTopics, Object, OperationRequest, OutcomeRequest, PaymentPageRequest,
    PaymentRefundRequest, PlanRequest, PlansRequest, PortalSessionRequest, PortalSessionsQuery,
    PriceBookRequest, PriceSimulationRequest, QuoteRequest, RefundRequest, ReportQuery, SettingsRequest,
    SubscriptionConfirmRequest, SubscriptionRequest, ThresholdRequest, TopUpRequest, UsageChangesQuery,
    UsageQuery, VoidRequest, WebhookEndpointChanges, WebhookEndpointRequest, WorkspaceChanges,
    WorkspacesQuery,
};
use tollkeeper_client::{Client, Code, Error};

use crate::server::Server;

/// The code of the problem that a call is refused with.
fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> Code {
    let error = result.expect_err("the server refuses it");
    error.code().cloned().unwrap_or_else(|| panic!("{error:?}"))
}

#[tokio::test]
async fn workspaces_and_members() -> Result<(), Error> {
    let server = Server::start().await;
    let client = server.client_with_credit("10.00").await;
    let workspaces = client.workspaces();
    let mut metadata = Object::new();
    metadata.insert("plan".to_owned(), "gold".into());
    let changes = WorkspaceChanges {
        name: Some("Acme Fashion".into()),
        metadata: Some(Some(metadata)),
        ..WorkspaceChanges::default()
    };
    let changed = workspaces.change("acme", &changes).await?;
    assert_eq!(changed.metadata.expect("it was set")["plan"], "gold");
    let changes = WorkspaceChanges { metadata: Some(None), ..WorkspaceChanges::default() };
    assert_eq!(workspaces.change("acme", &changes).await?.metadata, None, "null removes it");
    assert_eq!(workspaces.get("acme").await?.name, "Acme Fashion");
    let query = WorkspacesQuery { name: Some("fashion".into()), debt: Some(false), ..Default::default() };
    let rows = workspaces.list(&query).rows().collect().await?;
    assert_eq!((rows.len(), rows[0].debt), (1, Some(0)));
    let balance = workspaces.balance("acme", &BalanceQuery::default()).await?;
    assert_eq!((balance.available, balance.available_usd.as_str()), (1_000_000, "10.00"));
    let before = BalanceQuery { at: Some("2020-01-01T00:00:00Z".into()) };
    assert_eq!(workspaces.balance("acme", &before).await?.available, 0);

    let members = client.members("acme");
    members.add(&MemberRequest::new("ada", "ada@example.com", "Ada Lovelace", "admin")).await?;
    members.add(&MemberRequest::new("bob", "bob@example.com", "Bob", "member")).await?;
    let changes = MemberChanges { role: Some("admin".into()), ..MemberChanges::default() };
    assert_eq!(members.change("bob", &changes).await?.role, "admin");
    assert_eq!(members.list().rows().collect().await?.len(), 2);
    let session = client.portal_sessions("acme").create(&PortalSessionRequest::new("ada")).await?;
    assert!(session.url.starts_with("http"), "{session:?}");
    client.portal_sessions("acme").end(&PortalSessionsQuery { member: Some("ada".into()) }).await?;
    members.remove("bob").await?;
    members.erase_personal_data("bob").await?;
    assert_eq!(refusal(members.get("bob").await), Code::MemberNotFound);
    assert_eq!(refusal(members.remove("ada").await), Code::LastAdmin);
    Ok(())
}

#[tokio::test]
async fn charges_and_grants() -> Result<(), Error> {
    let server = Server::start().await;
    let client = server.client_with_credit("10.00").await;
    let charges = client.charges("acme");
    let quote = charges.quote(&QuoteRequest::new("virtual_try_on")).await?;
    assert_eq!((quote.amount, quote.affordable, quote.affordable_quantity), (20_000, true, Some(50)));
    let request = ChargeRequest { await_outcome: Some(true), ..ChargeRequest::new("virtual_try_on") };
    let charge = charges.create(&request).await?;
    assert!(charges.heartbeat(&charge.id, &HeartbeatRequest::new(7_200)).await?.deadline > charge.deadline);
    let settled = charges.report_outcome(&charge.id, &OutcomeRequest::new("succeeded")).await?;
    assert_eq!(settled.status, "settled");
    let part = RefundRequest { amount: Some(5_000), ..RefundRequest::new("by goodwill") };
    assert_eq!(charges.refund(&charge.id, &part).await?.refunded_amount, 5_000);
    let found = charges.get(&charge.id).await?;
    assert_eq!(
        (found.draws.map(|draws| draws.len()), found.refunds.map(|refunds| refunds.len())),
        (Some(1), Some(1))
    );

    let dear = BatchItem { quantity: Some(1_000_000), ..BatchItem::new("acme", "b", "smart_pricing") };
    let items = vec![BatchItem::new("acme", "a", "support_message"), dear];
    let batch = client.charge_batches().create(&BatchRequest::new(items)).await?;
    assert_eq!(batch.results[0].charge.as_ref().map(|charge| charge.amount), Some(500));
    let problem = batch.results[1].problem.as_ref().expect("it is not affordable");
    assert_eq!((&problem.code, batch.results[1].status), (&Code::InsufficientCredits, 402));
    assert!(problem.integer("shortfall").is_some());

    let grants = client.grants("acme");
    let grant = GrantRequest { amount: Some(7), ..GrantRequest::new("adjustment", "by mistake") };
    let grant = grants.create(&grant).await?;
    let voided = grants.void(&grant.id, &VoidRequest { reason: Some("undo".into()) }).await?;
    assert_eq!((voided.remaining, voided.voided_at.is_some()), (0, true));
    assert_eq!(grants.list().rows().collect().await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn payments() -> Result<(), Error> {
    let server = Server::start().await;
    let client = server.client_with_credit("10.00").await;
    let top_ups = client.top_ups("acme");
    let top_up = top_ups.create(&TopUpRequest::new("25.00")).await?;
    assert_eq!((top_up.status.as_str(), top_up.credits), ("pending", 2_500_000));
    assert_eq!(top_ups.confirm(&top_up.id).await?.status, "succeeded");
    assert_eq!(top_ups.get(&top_up.id).await?.status, "succeeded");
    let refund =
        PaymentRefundRequest { amount_usd: Some("5.00".into()), ..PaymentRefundRequest::new("wish") };
    assert_eq!(top_ups.refund(&top_up.id, &refund).await?.credits, 500_000);
    assert_eq!(top_ups.list().rows().collect().await?.len(), 1);
    assert_eq!(client.unmatched_payments().list().rows().collect().await?, []);

    let auto = client.auto_top_up("acme");
    assert_eq!(refusal(auto.get().await), Code::AutoTopUpNotFound);
    let request = AutoTopUpRequest { threshold: Some(100_000), ..AutoTopUpRequest::new("25.00", "100.00") };
    assert_eq!(refusal(auto.set(&request).await), Code::PaymentMethodRequired);
    auto.stop().await?;
    let card = client.payment_method("acme");
    assert_eq!(refusal(card.get().await), Code::PaymentMethodNotFound);
    card.remove().await?;
    // Without a payment provider, nothing makes such pages.
    assert!(card.save_page(&PaymentPageRequest::default()).await.is_err());
    assert!(card.billing_portal(&PaymentPageRequest::default()).await.is_err());

    let plans = client.plans();
    assert!(plans.get().await?.plans.iter().all(|plan| plan.sample), "until plans are set");
    let plan =
        PlanRequest { credits: Some(1_000_000), ..PlanRequest::new("basic", "Basic", "9.00", "month") };
    assert_eq!(plans.set(&PlansRequest::new(vec![plan])).await?.plans[0].credits_usd, "10.00");
    let subscription = client.subscription("acme");
    assert_eq!(refusal(subscription.get().await), Code::SubscriptionNotFound);
    let basic = SubscriptionRequest::new("basic");
    assert_eq!(subscription.preview(&basic).await?.due_now_usd, "9.00");
    assert_eq!(subscription.set(&basic).await?.plan, "basic");
    let confirmed = subscription.confirm(&SubscriptionConfirmRequest::default()).await?;
    assert_eq!((confirmed.status.as_str(), confirmed.period.is_some()), ("active", true));
    assert!(subscription.cancel().await?.cancels_at.is_some());
    Ok(())
}

#[tokio::test]
async fn use_limits_and_alerts() -> Result<(), Error> {
    let server = Server::start().await;
    let client = server.client_with_credit("10.00").await;
    client.charges("acme").create(&ChargeRequest::new("virtual_try_on")).await?;
    let usage = client.usage("acme");
    let query = UsageQuery { group_by: Some("operation,day".into()), ..UsageQuery::default() };
    let report = usage.get(&query).await?;
    assert_eq!((report.rows[0].operation.as_deref(), report.total.net), (Some("virtual_try_on"), 20_000));
    let csv = usage.csv(&query).await?;
    assert!(csv.lines().count() >= 2 && csv.contains("virtual_try_on"), "{csv}");
    let query = UsageChangesQuery { group_by: Some("operation".into()), ..UsageChangesQuery::default() };
    assert_eq!(usage.changes(&query).await?.timezone, "UTC");
    let query = BurnRateQuery { window_days: Some(7), group_by: Some("operation".into()) };
    assert_eq!(usage.burn_rate(&query).await?.available, 980_000);

    let cap = LimitRequest { amount_usd: Some("5.00".into()), ..LimitRequest::new("workspace", "month") };
    let limits = client.limits("acme").replace(&LimitsRequest::new(vec![cap])).await?;
    assert_eq!((limits.limits[0].amount, limits.limits[0].used), (500_000, 20_000));
    assert_eq!(client.limits("acme").get().await?, limits);

    client.members("acme").add(&MemberRequest::new("ada", "ada@example.com", "Ada", "admin")).await?;
    let threshold = ThresholdRequest { amount: Some(100_000), ..ThresholdRequest::default() };
    let request = AlertsRequest {
        thresholds: Some(vec![threshold]),
        emails: Some(vec!["books@example.com".into()]),
        ..AlertsRequest::default()
    };
    let alerts = client.alerts("acme");
    let set = alerts.replace(&request).await?;
    assert_eq!(set.thresholds[0].amount, Some(100_000));
    assert_eq!(alerts.get().await?, set);
    let recipient = set.emails.expect("addresses were given")[0].id.clone();
    let muted = alerts.mute(&recipient, &MutedTopics::new(Vec::new())).await?;
    assert_eq!(muted.emails.expect("addresses were given")[0].muted, Vec::<String>::new());
    assert_eq!(refusal(alerts.test().await), Code::MailNotSetUp);
    Ok(())
}

#[tokio::test]
async fn keys_and_webhooks() -> Result<(), Error> {
    let server = Server::start().await;
    let client = server.client_with_credit("10.00").await;
    let keys = client.api_keys("acme");
    let key = keys.create(&ApiKeyRequest::new("reader", vec!["read".into()])).await?;
    let shown = format!("{key:?}");
    let secret = key.secret.expect("it is shown once");
    assert!(shown.contains(&key.id) && !shown.contains(&secret), "{shown}");
    let reader = Client::builder(&server.url, secret).build()?;
    assert_eq!(reader.workspaces().get("acme").await?.id, "acme");
    let charge = reader.charges("acme").create(&ChargeRequest::new("virtual_try_on")).await;
    assert_eq!(refusal(charge), Code::Forbidden);
    assert_eq!(keys.list().rows().collect().await?[0].secret, None);
    keys.revoke(&key.id).await?;
    assert_eq!(refusal(reader.workspaces().get("acme").await), Code::Unauthenticated);

    let endpoints = client.webhook_endpoints();
    let endpoint = endpoints.create(&WebhookEndpointRequest::new("https://receiver.invalid/hooks")).await?;
    assert!(endpoint.secret.as_deref().is_some_and(|secret| secret.starts_with("whsec_")));
    let changes = WebhookEndpointChanges { enabled: Some(false), ..WebhookEndpointChanges::default() };
    assert!(!endpoints.change(&endpoint.id, &changes).await?.enabled);
    assert_ne!(endpoints.rotate_secret(&endpoint.id).await?.secret, endpoint.secret);
    assert_eq!(endpoints.get(&endpoint.id).await?.secret, None);
    assert!(!endpoints.ping(&endpoint.id).await?.accepted, "nothing has that name");
    assert_eq!(endpoints.deliveries(&endpoint.id).await?.exceptions, []);
    assert_eq!(refusal(endpoints.resend(&endpoint.id, "msg_none").await), Code::DeliveryNotFound);
    assert_eq!(endpoints.list().rows().collect().await?.len(), 1);
    endpoints.delete(&endpoint.id).await?;
    assert_eq!(refusal(endpoints.get(&endpoint.id).await), Code::WebhookEndpointNotFound);
    Ok(())
}

#[tokio::test]
async fn the_platform() -> Result<(), Error> {
    let server = Server::start().await;
    let client = server.client_with_credit("10.00").await;
    let prices = client.price_book();
    assert_eq!(prices.get().await?.operations.len(), 5);
    let price = OperationRequest { unit_price: Some(30_000), ..OperationRequest::new("virtual_try_on") };
    let draft = vec![price];
    let simulation =
        PriceSimulationRequest::new(draft.clone(), "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    assert_eq!(prices.simulate(&simulation).await?.used_workspaces, 0);
    let published = prices.publish(&PriceBookRequest::new(draft)).await?;
    assert_eq!(published.operations[0].unit_price_usd.as_deref(), Some("0.30"));
    let versions = prices.versions().rows().collect().await?;
    assert_eq!(versions[0].version, published.version);

    assert_eq!(client.settings().change(&SettingsRequest::new(14)).await?.refund_window_days, 14);
    assert_eq!(client.settings().get().await?.refund_window_days, 14);
    let report = client.reports().get(&ReportQuery::default()).await?;
    assert_eq!(report.workspaces, 1);
    let csv = client.reports().csv(&ReportQuery { month: Some(report.month) }).await?;
    assert!(csv.lines().count() > 1, "{csv}");
    assert!(!client.mails().deliveries().await?.down);
    assert_eq!(client.mails().report_events(&MailEvents::new(Vec::new())).await?.matched, 0);

    let operations = client.operations();
    assert_eq!(operations.health().await?.status, "ok");
    assert!(!operations.readiness().await?.status.is_empty());
    assert!(operations.metrics().await?.contains("tollkeeper_"));
    assert!(!operations.confirm_clock().await?.was_held);
    assert!(operations.journal_head().await?.entries >= 2);
    Ok(())
}
