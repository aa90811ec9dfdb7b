//! Sums that differ from the price of a plan, with the stand-in: a period takes its price at the
//! most, and an operator reads of what was paid besides.

use super::stripe_subscriptions::plans;

#[tokio::test]
async fn a_quantity_that_was_set_at_stripe_brings_one_allowance_and_the_rest_is_noted() {
    let mut plans = plans().await;
    plans.stripe.set_tax_basis_points(1_900);
    plans.start("basic").await;
    plans.deliver_all().await;
    plans.stripe.set_quantity(&plans.id_of_newest("subscription"), 2);
    plans.run_until("2026-04-02").await;
    let period = |start: &str| (format!("{start}:period"), 3_000_000, 3_000);
    assert_eq!(plans.grants().await, ["2026-01-31", "2026-02-28", "2026-03-31"].map(period));
    let received = plans.stripe.objects("payment_intent");
    let received: Vec<i64> = received.iter().filter_map(|one| one["amount_received"].as_i64()).collect();
    assert_eq!(received, [3_570, 7_140, 7_140]);
    let noted = plans.world.get("/v1/payments/unmatched").await.json();
    let noted: Vec<_> = noted["data"].as_array().expect("a list has rows").iter().collect();
    assert_eq!(noted.len(), 2, "each invoice is noted once: {noted:?}");
    for row in noted {
        assert_eq!((&row["cents"], &row["currency"]), (&3_570.into(), &"usd".into()), "{row}");
    }
    let report = plans.world.get("/v1/report").await.json();
    let line = &report["revenue"][0];
    assert_eq!((&line["source"], &line["provider"]), (&"subscription".into(), &"stripe".into()), "{report}");
    // What goes back of the rest takes no credit.
    let _ = plans.stripe.refund_elsewhere(&plans.id_of_newest("payment_intent"), 3_570);
    plans.deliver_all().await;
    assert_eq!(plans.balance().await, 9_000_000);
    // All the events come once more, and the books stay.
    plans.run_days(3).await;
    assert_eq!((plans.balance().await, plans.unmatched().await), (9_000_000, 2));
}
