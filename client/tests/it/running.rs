//! `run` and the tower layer: what becomes of the charge in each case.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::oneshot;
use tollkeeper_client::types::{
    ApiKeyRequest, BalanceQuery, Charge, ChargeRequest, ChargesQuery, EntriesQuery, MeterRequest,
    OperationRequest, PriceBookRequest, RefundRequest,
};
use tollkeeper_client::{ChargeError, Client, Code, Failure, Fault, OperationError, RunCharge, RunError};

use crate::server::Server;

async fn available(client: &Client) -> i64 {
    let balance = client.workspaces().balance("acme", &BalanceQuery::default()).await;
    balance.expect("the balance can be read").available
}

fn try_on() -> ChargeRequest {
    ChargeRequest::new("virtual_try_on")
}

/// The status and outcome of the only charge.
async fn only_charge(client: &Client) -> Charge {
    let rows = client.charges("acme").list(&ChargesQuery::default()).rows().collect().await;
    let mut rows = rows.expect("the list can be read");
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

/// An error that says by itself whose fault it is.
#[derive(Debug)]
struct ModelBroken;

impl OperationError for ModelBroken {
    fn fault(&self) -> Fault {
        Fault::System
    }

    fn detail(&self) -> Option<String> {
        Some("the model does not answer".to_owned())
    }
}

#[tokio::test]
async fn success_settles_and_says_amount_and_balance() {
    let server = Server::start().await;
    let client = server.client_with_credit("10.00").await;
    let reader = client.clone();
    let finished = client.run(("acme", try_on()), async |running| {
        assert_eq!(running.charge().status, "pending");
        assert_eq!(available(&reader).await, 980_000, "it is charged before it runs");
        Ok::<_, ModelBroken>("a picture")
    });
    let finished = finished.await.expect("it succeeds");
    assert_eq!((finished.value, finished.amount), ("a picture", 20_000));
    assert_eq!(finished.charge.status, "settled");
    assert_eq!(finished.charge.outcome.as_deref(), Some("succeeded"));
    assert_eq!(finished.balance.map(|balance| balance.available), Some(980_000));
    assert!(finished.outcome_error.is_none());
}

#[tokio::test]
async fn a_smaller_quantity_gives_the_difference_back() {
    let server = Server::start().await;
    let client = server.client_with_credit("10.00").await;
    let request = ChargeRequest { quantity: Some(37), ..ChargeRequest::new("smart_pricing") };
    let finished = client.run(("acme", request), async |running| {
        running.set_quantity(5);
        Ok::<_, ModelBroken>(())
    });
    let finished = finished.await.expect("it succeeds");
    assert_eq!((finished.amount, available(&client).await), (5_000, 995_000));
}

#[tokio::test]
async fn of_an_operation_with_meters_what_was_used_is_settled() {
    let server = Server::start().await;
    let client = server.client_with_credit("10.00").await;
    let meter = |id: &str, unit_price| MeterRequest {
        unit_price: Some(unit_price),
        per: Some(1_000_000),
        ..MeterRequest::new(id)
    };
    let meters = Some(vec![meter("input", 15_000), meter("output", 60_000)]);
    let prices = PriceBookRequest::new(vec![OperationRequest { meters, ..OperationRequest::new("chat") }]);
    client.price_book().publish(&prices).await.expect("the prices are valid");
    let units = |input, output| BTreeMap::from([("input".to_owned(), input), ("output".to_owned(), output)]);
    let request = ChargeRequest { quantities: Some(units(10_000, 4_000)), ..ChargeRequest::new("chat") };
    let finished = client.run(("acme", request), async |running| {
        assert_eq!(running.charge().amount, 390);
        running.set_quantities(units(1_234, 567));
        Ok::<_, ModelBroken>(())
    });
    let finished = finished.await.expect("it succeeds");
    assert_eq!((finished.amount, available(&client).await), (53, 999_947));
    let charge = client.charges("acme").get(&finished.charge.id).await.expect("it is there");
    assert_eq!((charge.unit_price, charge.used_quantities), (None, Some(units(1_234, 567))));
}

#[tokio::test]
async fn the_fault_of_an_error_decides_about_the_refund() {
    let server = Server::start().await;
    let client = server.client_with_credit("10.00").await;
    let result = client.run(("acme", try_on()), async |_| Err::<(), _>(Failure::user("no picture"))).await;
    match result {
        Err(RunError::Failed { error, charge, outcome_error: None }) => {
            assert_eq!((error.error, charge.status.as_str()), ("no picture", "settled"));
            assert_eq!(charge.outcome.as_deref(), Some("failed_user"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(available(&client).await, 980_000, "the user's fault is kept");

    match client.run(("acme", try_on()), async |_| Err::<(), _>(ModelBroken)).await {
        Err(RunError::Failed { charge, outcome_error: None, .. }) => {
            assert_eq!(charge.status, "refunded");
            let charge = client.charges("acme").get(&charge.id).await.expect("it exists");
            let refunds = charge.refunds.unwrap_or_default();
            assert_eq!(refunds[0].detail.as_deref(), Some("the model does not answer"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(available(&client).await, 980_000, "the system's fault is refunded");
}

#[tokio::test]
async fn what_is_not_affordable_does_not_run() {
    let server = Server::start().await;
    let client = server.client_with_credit("0.10").await;
    let mut has_run = false;
    let result = client.run(("acme", try_on()), |_| {
        has_run = true;
        async { Ok::<_, ModelBroken>(()) }
    });
    let error = result.await.expect_err("10,000 do not cover 20,000");
    let code = error.not_charged().and_then(|error| error.code().cloned());
    assert_eq!((code, has_run), (Some(Code::InsufficientCredits), false));
}

#[tokio::test]
async fn a_key_that_was_used_before_does_not_run_again() {
    let server = Server::start().await;
    let client = server.client_with_credit("10.00").await;
    let charge = || RunCharge::new("acme", try_on()).idempotency_key("order-17");
    client.run(charge(), async |_| Ok::<_, ModelBroken>(())).await.expect("it succeeds");
    match client.run(charge(), async |_| -> Result<(), ModelBroken> { panic!("it is paid once") }).await {
        Err(RunError::Charge(ChargeError::NotPending { status, .. })) => assert_eq!(status, "settled"),
        other => panic!("{other:?}"),
    }
    assert_eq!(available(&client).await, 980_000);
}

#[tokio::test]
async fn a_key_without_the_scope_settle_leaves_the_refund_to_the_deadline() {
    let server = Server::start().await;
    let platform = server.client_with_credit("10.00").await;
    let key = platform.api_keys("acme").create(&ApiKeyRequest::new("shop", vec!["charge".into()])).await;
    let secret = key.expect("the key is new").secret.expect("it is shown once");
    let client = Client::builder(&server.url, secret).build().expect("the key is valid");
    match client.run(("acme", try_on()), async |_| Err::<(), _>(ModelBroken)).await {
        Err(RunError::Failed { charge, outcome_error: Some(error), .. }) => {
            assert_eq!((charge.status.as_str(), error.code()), ("pending", Some(&Code::Forbidden)));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_dropped_run_is_refunded_by_its_deadline() {
    let server = Server::start().await;
    let client = server.client_with_credit("10.00").await;
    let (started, has_started) = oneshot::channel();
    let request = ChargeRequest { timeout_seconds: Some(1), ..try_on() };
    let operation = |_| async move {
        started.send(()).expect("the test waits");
        std::future::pending::<Result<(), ModelBroken>>().await
    };
    tokio::select! {
        result = client.run(("acme", request), operation) => panic!("{result:?}"),
        result = has_started => result.expect("the operation has started"),
    }
    // Had the drop reported something, the outcome would be another one.
    let charge = wait_for_outcome(&client).await;
    assert_eq!((charge.status.as_str(), charge.outcome.as_deref()), ("refunded", Some("timed_out")));
    assert_eq!(available(&client).await, 1_000_000);
}

/// Waits until the journal says that a charge was settled or refunded.
async fn wait_for_outcome(client: &Client) -> Charge {
    let kinds = Some("charge.settled,charge.refunded".to_owned());
    let query = EntriesQuery { after: Some("0".into()), kinds, wait: Some(30) };
    let page = client.journal("acme").after(&query).await.expect("the journal can be read");
    assert_eq!(page.data.len(), 1, "{page:?}");
    only_charge(client).await
}

#[tokio::test]
async fn heartbeats_keep_a_charge_beyond_its_deadline() {
    let server = Server::start().await;
    let client = server.client_with_credit("10.00").await;
    let request = ChargeRequest { timeout_seconds: Some(2), ..try_on() };
    let reader = client.clone();
    let finished = client.run(("acme", request), async |running| {
        // The journal has no outcome for twice the deadline.
        let kinds = Some("charge.settled,charge.refunded".to_owned());
        let query = EntriesQuery { after: Some("0".into()), kinds, wait: Some(4) };
        let page = reader.journal("acme").after(&query).await.expect("the journal can be read");
        assert_eq!(page.data, [], "it is neither settled nor refunded");
        let now = reader.charges("acme").get(&running.charge().id).await.expect("it exists");
        assert!(now.deadline > running.charge().deadline, "the deadline was moved");
        Ok::<_, ModelBroken>(now.status)
    });
    let finished = finished.await.expect("it succeeds");
    assert_eq!((finished.value.as_str(), finished.charge.status.as_str()), ("pending", "settled"));
}

#[tokio::test]
async fn an_operation_whose_charge_is_lost_is_ended() {
    let server = Server::start().await;
    let client = server.client_with_credit("10.00").await;
    let platform = client.clone();
    let request = ChargeRequest { timeout_seconds: Some(3), ..try_on() };
    let result = client.run(("acme", request), async |running| {
        let refund = RefundRequest::new("by mistake");
        platform.charges("acme").refund(&running.charge().id, &refund).await.expect("it is refunded");
        std::future::pending::<Result<(), ModelBroken>>().await
    });
    let result = tokio::time::timeout(Duration::from_secs(20), result).await;
    match result.expect("the next heartbeat finds it") {
        Err(RunError::Charge(ChargeError::Lost { error, .. })) => {
            assert_eq!(error.code(), Some(&Code::ChargeAlreadyRefunded));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_run_can_be_spawned() {
    let server = Server::start().await;
    let client = server.client_with_credit("10.00").await;
    let copy = client.clone();
    let spawned = tokio::spawn(async move {
        copy.run(("acme", try_on()), async |_| Ok::<_, ModelBroken>(1)).await.map(|finished| finished.amount)
    });
    assert_eq!(spawned.await.expect("it does not panic").expect("it succeeds"), 20_000);
}
