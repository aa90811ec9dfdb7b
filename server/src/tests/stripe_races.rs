//! Many callers at once and a saved card at the stand-in, on both engines: a low balance buys once,
//! and the cap of a month holds to the cent.

use futures_util::future::join_all;
use tollkeeper_engine::Postgres;
use tollkeeper_engine::postgres::Options as PostgresOptions;
use tollkeeper_testkit::postgres::{is_missing, shared};
use tollkeeper_testkit::stripe::{Card, Options, StripeStandIn};

use super::stripe_automatic::{Buyer, RULE_PATH, buyer, buyer_of};
use super::stripe_top_ups::{Paid, stripe_settings};
use super::*;
use crate::jobs::polling::Polling;

const CALLERS: u32 = 64;

/// A buyer whose ledger is this database.
async fn buyer_on(url: &str) -> Buyer {
    let stripe = StripeStandIn::start(Options { now: NOW / 1_000, ..Options::default() });
    let settings = stripe_settings(&stripe, &[("tax", "stripe")]);
    let options = PostgresOptions { readers: Some(2), ..PostgresOptions::default() };
    let engine = Postgres::open(url, options).await.expect("a database of its own opens");
    let clock = Arc::new(AtomicI64::new(NOW));
    let time = Arc::clone(&clock);
    let now = move || Timestamp::from_millis(time.load(Ordering::Relaxed));
    let app = App::with_clock(Arc::new(engine), &settings, Box::new(now));
    prepare(&app).await.expect("an empty engine takes prices");
    let world = World { app: app.into(), clock, _dir: tempfile::tempdir().expect("a directory can be made") };
    let opened = world.post("/v1/workspaces", "", r#"{"id":"acme","name":"Acme"}"#).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    buyer_of(Paid { world, stripe }, Card::Good).await
}

/// Callers at once, each of whom pays for one operation of 5,000; returns how many could. A poll
/// comes in the middle.
async fn race(buyer: &mut Buyer, round: &str) -> usize {
    let (paid, job) = (&buyer.paid, &mut buyer.job);
    let body = r#"{"operation":"product_listing","quantity":1}"#;
    let callers = (0..CALLERS)
        .map(async |caller| paid.world.charge(&format!("{round}-{caller}"), body).await.status == 201);
    let (charged, ()) = tokio::join!(join_all(callers), job.poll(&paid.world.app));
    charged.into_iter().filter(|paid| *paid).count()
}

async fn charge(buyer: &Buyer, key: &str, quantity: u32) -> u16 {
    let body = format!(r#"{{"operation":"product_listing","quantity":{quantity}}}"#);
    buyer.paid.world.charge(key, &body).await.status
}

/// 7.00 are there, 25.00 are bought below 5.00, and the cap allows `purchases` of them.
async fn callers_buy_up_to_the_cap(mut buyer: Buyer, cap: &str, purchases: usize) {
    buyer.set_rule(cap).await;
    assert_eq!(race(&mut buyer, "1").await, 64, "700,000 are enough for all");
    buyer.settle().await;
    buyer.poll().await;
    assert_eq!(buyer.charged(), (1, 2_500), "a low balance buys once: cap {cap}");
    assert_eq!(buyer.available().await, 2_880_000);
    assert_eq!(charge(&buyer, "most", 500).await, 201);
    // 380,000 are less than the threshold, and all callers see that at once.
    race(&mut buyer, "2").await;
    for _ in 0..3 {
        buyer.poll().await;
        buyer.paid.pass_seconds(60);
    }
    let cents = 2_500 * i64::try_from(purchases).expect("they are few");
    assert_eq!(buyer.charged(), (purchases, cents), "cap {cap}");
    // Nobody buys more, however often the balance is low.
    let rest = u32::try_from(buyer.available().await / 5_000).expect("it is small") - 10;
    assert_eq!(charge(&buyer, "rest", rest).await, 201);
    assert_eq!(race(&mut buyer, "3").await, 10, "credit for ten is left");
    buyer.poll().await;
    assert_eq!((buyer.charged(), buyer.available().await), ((purchases, cents), 0), "cap {cap}");
    let rule = buyer.paid.world.get(RULE_PATH).await.json();
    let bought = format!("{}.00", cents / 100);
    assert_eq!((&rule["bought_this_month_usd"], &rule["state"]), (&bought.into(), &"active".into()));
}

#[tokio::test]
async fn racing_callers_buy_once_and_the_cap_holds_to_the_cent() {
    for (cap, purchases) in [("50.00", 2), ("49.99", 1), ("50.01", 2)] {
        callers_buy_up_to_the_cap(buyer(Card::Good).await, cap, purchases).await;
    }
}

#[tokio::test]
async fn racing_callers_on_postgresql_buy_once_and_the_cap_holds_to_the_cent() {
    if is_missing() {
        return;
    }
    for (cap, purchases) in [("50.00", 2), ("49.99", 1)] {
        let database = shared().database();
        callers_buy_up_to_the_cap(buyer_on(&database.url()).await, cap, purchases).await;
    }
}
