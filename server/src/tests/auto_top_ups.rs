//! Saved cards and automatic top-ups over HTTP. The provider's part is played by commands.

use tollkeeper_ledger::{
    Actor, Card, CardCommand, Command, Customer, PaymentCommand, Provider, ProviderCommand, Submission,
    TopUpFailure, WorkspaceId,
};

use super::*;
use crate::jobs::due_payments::DuePayments;
use crate::jobs::polling::Polling;

const PATH: &str = "/v1/workspaces/acme/auto-top-up";
const CARD: &str = "/v1/workspaces/acme/payment-method";
const TOP_UPS: &str = "/v1/workspaces/acme/top-ups";
const RULE: &str = r#"{"threshold_usd":"5.00","amount_usd":"25.00","monthly_cap_usd":"60.00"}"#;

impl World {
    /// Runs a command of the system, as if the payment provider had reported something.
    pub(super) async fn report(&self, workspace: &str, command: PaymentCommand) {
        let workspace = WorkspaceId::new(workspace).expect("a name");
        let command = Command::Payment(command);
        let submission = Submission { workspace, key: None, actor: Actor::System, command };
        let now = Timestamp::from_millis(self.clock.load(Ordering::Relaxed));
        self.app.engine().run(submission, now).await.expect("a healthy disk").expect("it is accepted");
    }

    /// Saves a card, as if a payer had left it at the payment provider.
    pub(super) async fn save_card(&self, workspace: &str) {
        let customer = Customer { provider: Provider::Stripe, id: "cus_secret".into() };
        let link = CardCommand::LinkCustomer { customer, replaces: None };
        self.report(workspace, PaymentCommand::Card(link)).await;
        let card = Card {
            id: "pm_secret".into(),
            brand: "visa".into(),
            last4: "4242".into(),
            expires_month: 2,
            expires_year: 2_030,
        };
        self.report(workspace, PaymentCommand::Card(CardCommand::SaveCard(card))).await;
    }

    async fn charge_try_on(&self, key: &str) -> Reply {
        self.post("/v1/workspaces/acme/charges", key, r#"{"operation":"virtual_try_on","quantity":26}"#).await
    }
}

#[tokio::test]
async fn a_card_is_shown_by_brand_last_digits_and_expiry_and_can_be_removed() {
    let world = world().await;
    world.get(CARD).await.problem(404, "payment_method_not_found");
    world.get("/v1/workspaces/unknown/payment-method").await.problem(404, "workspace_not_found");
    assert_eq!(world.put("DELETE", CARD, "", "").await.status, 204, "there is nothing to remove");
    world.save_card("acme").await;
    let card = world.get(CARD).await;
    assert_eq!(card.text, r#"{"brand":"visa","last4":"4242","expires":"2030-02"}"#);
    assert_eq!(world.put("PUT", PATH, "", RULE).await.status, 200);
    assert_eq!(world.put("DELETE", CARD, "", "").await.status, 204);
    world.get(CARD).await.problem(404, "payment_method_not_found");
    let rule = world.get(PATH).await.json();
    assert_eq!(
        (&rule["state"], &rule["stopped_reason"]),
        (&"stopped".into(), &"payment_method_removed".into())
    );
    let (_, reader) = world.make_key("acme", r#"{"name":"r","scopes":["read"]}"#).await;
    let bearer = format!("Bearer {reader}");
    let path = "/v1/workspaces/acme/entries";
    let entries = world.ask("GET", path, &[("authorization", &bearer)], Body::empty()).await;
    // A hash may contain the digits.
    assert!(!entries.text.contains(r#""4242""#), "a card is shown to those who manage: {}", entries.text);
    let entries = world.get(path).await;
    assert!(entries.text.contains(r#""last4":"4242""#), "{}", entries.text);
    assert!(!entries.text.contains("pm_secret"), "{}", entries.text);
}

#[tokio::test]
async fn a_rule_is_set_buys_below_the_threshold_and_is_stopped() {
    let world = world_with(1_000_000).await;
    world.get(PATH).await.problem(404, "auto_top_up_not_found");
    world.put("PUT", PATH, "", RULE).await.problem(409, "payment_method_required");
    world.save_card("acme").await;
    let shown = |bought: &str, state: &str| {
        r#"{"threshold":500000,"threshold_usd":"5.00","amount_usd":"25.00","monthly_cap_usd":"60.00","#
            .to_owned()
            + &format!(r#""bought_this_month_usd":"{bought}",{state}}}"#)
    };
    let active = r#""state":"active","paused_until":null,"stopped_reason":null"#;
    let set = world.put("PUT", PATH, "", RULE).await;
    assert_eq!((set.status, &set.text), (200, &shown("0.00", active)));
    assert_eq!(world.get(TOP_UPS).await.json()["data"], serde_json::json!([]), "the balance is not low");
    assert_eq!(world.charge_try_on("a").await.status, 201);
    assert_eq!(world.charge_try_on("a").await.header("idempotent-replayed"), Some("true"));
    assert_eq!(world.get(PATH).await.text, shown("25.00", active));
    let top_ups = world.get(TOP_UPS).await.json();
    let [top_up] = top_ups["data"].as_array().expect("a list").as_slice() else { panic!("{top_ups}") };
    assert_eq!((&top_up["status"], &top_up["paid_at"]), (&"pending".into(), &Value::Null));
    assert_eq!(top_up["payment"], serde_json::json!({ "provider": "stripe", "way": "automatic" }));

    let id = top_up["id"].as_str().expect("an id");
    let failure = TopUpFailure::SoftDecline;
    world.report("acme", PaymentCommand::FailTopUp { top_up: id.parse().expect("an id"), failure }).await;
    let failed = world.get(&format!("{TOP_UPS}/{id}")).await.json();
    assert_eq!((&failed["status"], &failed["failure"]), (&"failed".into(), &"declined".into()));
    assert_eq!((&failed["paid_at"], &failed["grant"]), (&Value::Null, &Value::Null));
    let paused = r#""state":"paused","paused_until":"2026-11-23T16:04:05.678Z","stopped_reason":null"#;
    assert_eq!(world.get(PATH).await.text, shown("0.00", paused));
    assert_eq!(world.put("PUT", PATH, "", RULE).await.text, shown("0.00", paused), "it stays paused");
    world.pass_seconds(3_600);
    assert_eq!(world.get(PATH).await.text, shown("0.00", active));
    assert_eq!(world.put("PUT", PATH, "", RULE).await.text, shown("25.00", active), "the balance is low");

    assert_eq!(world.put("DELETE", PATH, "", "").await.status, 204);
    assert_eq!(world.put("DELETE", PATH, "", "").await.status, 204);
    let stopped = r#""state":"stopped","paused_until":null,"stopped_reason":"requested""#;
    assert_eq!(world.get(PATH).await.text, shown("25.00", stopped));
    let entries = world.get("/v1/workspaces/acme/entries").await.json();
    let kinds: Vec<_> = (0..6).map(|index| entries["data"][index]["kind"].as_str().unwrap_or("")).collect();
    let expected =
        ["auto_top_up.stopped", "top_up.opened", "auto_top_up.paused", "top_up.failed", "top_up.opened"];
    assert_eq!(kinds[..5], expected);
    assert_eq!(entries["data"][0]["details"], serde_json::json!({ "stopped_reason": "requested" }));
    assert_eq!(entries["data"][3]["details"], serde_json::json!({ "top_up": id, "failure": "declined" }));
}

#[tokio::test]
async fn a_charge_that_is_refused_for_lack_of_credit_has_credit_bought() {
    let world = world_with(520_000).await;
    world.save_card("acme").await;
    assert_eq!(world.put("PUT", PATH, "", RULE).await.status, 200);
    assert_eq!(world.charge_try_on("a").await.status, 201);
    let pending = || async { world.get(TOP_UPS).await.json()["data"].as_array().expect("a list").clone() };
    let first = pending().await;
    let id = first[0]["id"].as_str().expect("an id").parse().expect("an id");
    world.charge_try_on("b").await.problem(402, "insufficient_credits");
    assert_eq!(pending().await, first, "one waits already");
    let failure = TopUpFailure::SoftDecline;
    world.report("acme", PaymentCommand::FailTopUp { top_up: id, failure }).await;
    world.charge_try_on("b").await.problem(402, "insufficient_credits");
    assert_eq!(pending().await.len(), 1, "it is paused");
    world.pass_seconds(3_600);
    let item = r#"{"workspace":"acme","operation":"virtual_try_on","quantity":26,"idempotency_key":"#;
    let batch = format!(r#"{{"charges":[{item}"x"}},{item}"y"}}]}}"#);
    let refused = world.post("/v1/charges/batch", "", &batch).await.json();
    assert_eq!(refused["results"][1]["problem"]["code"], "insufficient_credits");
    let second = pending().await;
    assert_eq!((second.len(), &second[0]["status"]), (2, &"pending".into()), "a batch buys once");
    let id = second[0]["id"].as_str().expect("an id").parse().expect("an id");
    world.report("acme", PaymentCommand::FailTopUp { top_up: id, failure }).await;
    world.pass_seconds(86_400);
    world.charge_try_on("b").await.problem(402, "insufficient_credits");
    let id = pending().await[0]["id"].as_str().expect("an id").to_owned();
    world.post(&format!("{TOP_UPS}/{id}/confirm"), "", "").await.problem(422, "invalid_field");
    let top_up = id.parse().expect("an id");
    let payment = "stripe:pi_1".into();
    let paid = ProviderCommand::SucceedTopUp { top_up, payment, cents: 2_500, tax_cents: 0 };
    world.report("acme", PaymentCommand::Provider(paid)).await;
    assert_eq!(world.charge_try_on("b").await.status, 201, "a refused key is free");
}

#[tokio::test]
async fn a_card_that_nothing_charges_any_more_fails_its_top_up() {
    let world = world_with(1_000_000).await;
    world.save_card("acme").await;
    assert_eq!(world.put("PUT", PATH, "", RULE).await.status, 200);
    assert_eq!(world.charge_try_on("a").await.status, 201);
    DuePayments::default().poll(&world.app).await;
    let top_ups = world.get(TOP_UPS).await.json();
    let shown = (&top_ups["data"][0]["status"], &top_ups["data"][0]["failure"]);
    assert_eq!(shown, (&"failed".into(), &"not_paid".into()));
    assert_eq!(world.get(PATH).await.json()["state"], "paused");
}

#[tokio::test]
async fn wrong_rules_get_the_documented_answer_and_set_nothing() {
    let world = world().await;
    world.save_card("acme").await;
    let wrong = |threshold: &str, amount: &str, cap: &str| {
        format!(r#"{{{threshold},"amount_usd":"{amount}","monthly_cap_usd":"{cap}"}}"#)
    };
    let usd = r#""threshold_usd":"5""#;
    for (body, status, code, field) in [
        (wrong(usd, "4.99", "60"), 422, "invalid_field", "amount_usd"),
        (wrong(usd, "10000.01", "60000"), 422, "invalid_field", "amount_usd"),
        (wrong(usd, "25.001", "60"), 422, "invalid_field", "amount_usd"),
        (wrong(usd, "1e3", "60"), 422, "invalid_field", "amount_usd"),
        (wrong(usd, "25", "24.99"), 422, "invalid_field", "monthly_cap_usd"),
        (wrong(usd, "25", "60.001"), 422, "invalid_field", "monthly_cap_usd"),
        (wrong(r#""threshold_usd":"25.01""#, "25", "60"), 422, "invalid_field", "amount_usd"),
        (wrong(r#""threshold":0"#, "25", "60"), 422, "invalid_field", "threshold"),
        (wrong(r#""threshold":-1"#, "25", "60"), 422, "invalid_field", "threshold"),
        (wrong(r#""threshold":1,"threshold_usd":"1""#, "25", "60"), 422, "invalid_field", "threshold_usd"),
        (r#"{"amount_usd":"25","monthly_cap_usd":"60"}"#.to_owned(), 422, "invalid_field", "threshold"),
        (wrong(r#""threshold":1,"currency":"EUR""#, "25", "60"), 400, "unknown_field", "currency"),
    ] {
        let problem = world.put("PUT", PATH, "", &body).await.problem(status, code);
        assert_eq!(problem["field"], field, "{body}: {problem}");
    }
    world.get(PATH).await.problem(404, "auto_top_up_not_found");
    assert_eq!(world.put("PUT", PATH, "", &wrong(r#""threshold":1"#, "5.00", "5.00")).await.status, 200);
}
