//! Money that goes back over HTTP: the credit is taken first, the answer is repeated.

use tollkeeper_ledger::{Actor, Command, Submission, Timestamp, UnmatchedPayment, WorkspaceId};

use super::*;

const TOP_UPS: &str = "/v1/workspaces/acme/top-ups";

async fn paid_top_up(world: &World, usd: &str) -> String {
    let opened = world.post(TOP_UPS, usd, &format!(r#"{{"amount_usd":"{usd}"}}"#)).await.id();
    assert_eq!(world.post(&format!("{TOP_UPS}/{opened}/confirm"), "", "").await.status, 200);
    opened
}

#[tokio::test]
async fn a_top_up_is_refunded_and_its_credit_is_gone() {
    let world = world().await;
    let pending = world.post(TOP_UPS, "pending", r#"{"amount_usd":"5.00"}"#).await.id();
    let reason = r#"{"reason":"asked"}"#;
    let waits = world.post(&format!("{TOP_UPS}/{pending}/refund"), "w", reason).await;
    waits.problem(409, "nothing_to_refund");

    let path = format!("{TOP_UPS}/{}/refund", paid_top_up(&world, "25.00").await);
    let body = r#"{"amount_usd":"10.00","reason":"asked"}"#;
    let refunded = world.post(&path, "one", body).await;
    let id = refunded.id();
    assert!(id.starts_with("pr_"), "{id}");
    let text = format!(r#"{{"id":"{id}","status":"succeeded","amount_usd":"10.00","credits":1000000}}"#);
    assert_eq!((refunded.status, &refunded.text), (201, &text));
    assert_eq!(world.balance().await, (1_500_000, 0));
    let again = world.post(&path, "one", body).await;
    assert_eq!((again.status, &again.text), (201, &text));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let other = world.post(&path, "one", reason).await;
    assert_eq!(other.problem(422, "idempotency_key_reused")["field"], "amount_usd");

    let more = world.post(&path, "more", r#"{"amount_usd":"15.01","reason":"asked"}"#).await;
    let more = more.problem(422, "invalid_field");
    assert_eq!((&more["field"], &more["refundable_usd"]), (&"amount_usd".into(), &"15.00".into()));
    for wrong in ["0", "0.00", "0.001", "-1", "1e3"] {
        let body = format!(r#"{{"amount_usd":"{wrong}","reason":"asked"}}"#);
        let refused = world.post(&path, "wrong", &body).await;
        assert_eq!(refused.problem(422, "invalid_field")["field"], "amount_usd", "{wrong}");
    }
    let silent = world.post(&path, "silent", "{}").await;
    assert_eq!(silent.problem(422, "invalid_field")["field"], "reason");
    assert_eq!(world.balance().await, (1_500_000, 0));

    let rest = world.post(&path, "rest", reason).await;
    assert_eq!((rest.status, &rest.json()["amount_usd"]), (201, &"15.00".into()));
    world.post(&path, "none", reason).await.problem(409, "nothing_to_refund");
    assert_eq!(world.balance().await, (0, 0));
    let entries = world.get("/v1/workspaces/acme/entries?limit=3").await.json();
    let shown = |index: usize, name: &str| entries["data"][index][name].clone();
    assert_eq!(
        [shown(0, "kind"), shown(1, "kind"), shown(2, "kind")],
        ["payment_refund.succeeded", "claw_back.increased", "payment_refund.requested"]
    );
    assert_eq!((shown(2, "reason"), shown(1, "amount")), ("asked".into(), 1_500_000.into()));
    assert_eq!(shown(2, "details")["amount_usd"], "15.00");
}

#[tokio::test]
async fn a_top_up_of_another_workspace_is_not_refunded() {
    let world = world().await;
    assert_eq!(world.post("/v1/workspaces", "", r#"{"id":"other","name":"Other"}"#).await.status, 201);
    let paid = paid_top_up(&world, "25.00").await;
    let body = r#"{"reason":"asked"}"#;
    let other = world.post(&format!("/v1/workspaces/other/top-ups/{paid}/refund"), "a", body).await;
    other.problem(404, "top_up_not_found");
    let nowhere = world.post(&format!("/v1/workspaces/nowhere/top-ups/{paid}/refund"), "a", body).await;
    nowhere.problem(404, "workspace_not_found");
}

#[tokio::test]
async fn payments_that_fit_nothing_are_listed_newest_first_in_pages() {
    let world = world().await;
    let note = |number: i64| {
        let payment = UnmatchedPayment {
            payment: format!("pi_{number}").into(),
            cents: 100 * number,
            currency: "eur".into(),
            workspace: (number == 1).then(|| WorkspaceId::new("acme").expect("an allowed name")),
            why: "The currency is not usd.".into(),
        };
        let (workspace, actor) = (WorkspaceId::platform(), Actor::Platform);
        Submission { workspace, key: None, actor, command: Command::ReportUnmatched(payment) }
    };
    for number in [1, 2, 2, 3] {
        let now = Timestamp::from_millis(NOW + number);
        world.app.engine().run(note(number), now).await.expect("the engine runs").expect("it is noted");
    }
    assert_eq!(world.balance().await, (0, 0));
    let page = world.get("/v1/payments/unmatched?limit=2").await.json();
    let names = |page: &Value| -> Vec<String> {
        let rows = page["data"].as_array().expect("a list has rows").iter();
        rows.map(|row| row["payment"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(&page), ["pi_3", "pi_2"]);
    let cursor = page["next_cursor"].as_str().expect("there are more");
    let rest = world.get(&format!("/v1/payments/unmatched?limit=2&cursor={cursor}")).await.json();
    assert_eq!(names(&rest), ["pi_1"]);
    assert_eq!(rest["next_cursor"], Value::Null);
    let row = &rest["data"][0];
    assert_eq!((&row["cents"], &row["currency"]), (&100.into(), &"eur".into()));
    assert_eq!((&row["workspace"], &row["reason"]), (&"acme".into(), &"The currency is not usd.".into()));
}
