//! What a stranger or a careless client sends about payments with Stripe: the documented answer,
//! and nothing is written. What `webhooks` tests (signatures, modes, sizes) is not here.

use tollkeeper_testkit::stripe::{Options, StripeStandIn};

use super::stripe_top_ups::stripe_settings;
use super::*;

const HOOK: &str = "/webhooks/stripe";

/// A server that takes payments by a stand-in.
struct Shop {
    world: World,
    stripe: StripeStandIn,
}

async fn shop() -> Shop {
    let stripe = StripeStandIn::start(Options { now: NOW / 1_000, ..Options::default() });
    let settings = stripe_settings(&stripe, &[]);
    let world = world_of(&settings, NOW).await;
    Shop { world, stripe }
}

impl Shop {
    async fn hear(&self, body: &str) -> Reply {
        let signature = StripeStandIn::signature(&["whsec_standin"], NOW / 1_000, body.as_bytes());
        let headers = [("content-type", "application/json"), ("stripe-signature", signature.as_str())];
        self.world.ask("POST", HOOK, &headers, body.to_owned()).await
    }

    /// The number of entries that were written, and of requests that were sent to Stripe.
    fn marks(&self) -> (u64, usize) {
        (self.world.app.engine().stats().entries, self.stripe.requests().len())
    }
}

/// An event about an object with this id, as JSON text.
fn event(kind: &str, id: &str) -> String {
    format!(
        r#"{{"id":"evt_1","type":"{kind}","livemode":false,"created":1,"data":{{"object":{{"id":{id},"metadata":{{}}}}}}}}"#
    )
}

#[tokio::test]
async fn what_is_signed_and_no_event_is_refused_and_writes_nothing() {
    let shop = shop().await;
    let marks = shop.marks();
    let good = event("refund.created", r#""re_1""#);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_within = good.replace(r#""created":1"#, &format!(r#""created":1,"x":{deep}"#));
    for body in [
        "null",
        "true",
        "1e999",
        r#""text""#,
        r#"{"id":"evt_1"}"#,
        &good.replace(r#""evt_1""#, "7"),
        &good.replace(r#""evt_1""#, r#""evt/../1""#),
        &good.replace(r#""refund.created""#, "[]"),
        &good.replace("false", r#""false""#),
        &good.replace("false", "null"),
        &good.replace(r#","livemode":false"#, ""),
        &good.replace(r#""created":1"#, r#""created":1.5"#),
        &good.replace(r#""created":1"#, r#""created":99999999999999999999"#),
        &good.replace(r#"{"object":"#, r#"{"subject":"#),
        &good.replace(r#"{"id":"re_1","metadata":{}}"#, r#""re_1""#),
        &good.replace("evt_1", &"e".repeat(300)),
        &good.replace(r#""created":1"#, r#""created":1,"created":1"#),
        &format!("{good}{good}"),
        &deep,
    ] {
        let shown: String = body.chars().take(120).collect();
        let refused = shop.hear(body).await;
        assert_eq!(refused.status, 400, "{shown}: {}", refused.text);
        refused.problem(400, "malformed_json");
    }
    assert_eq!(shop.marks(), marks);
    // What is not read may be as deep as it likes.
    assert_eq!(shop.hear(&deep_within.replace("refund.created", "price.created")).await.status, 200);
    assert_eq!(shop.marks(), marks);
}

#[tokio::test]
async fn an_event_about_what_cannot_be_fetched_is_ignored_or_asked_for_again() {
    let shop = shop().await;
    let (entries, requests) = shop.marks();
    // Objects whose ids are of another form are not ours, and no path is made of them.
    for id in
        [r#""../customers""#, r#""re/1""#, r#""re_1?expand[]=x""#, r#""""#, "null", "7", "[]", r#""\u0000""#]
    {
        let heard = shop.hear(&event("refund.created", id)).await;
        assert_eq!(heard.status, 200, "{id}: {}", heard.text);
    }
    let long = format!(r#""{}""#, "r".repeat(10_000));
    assert_eq!(shop.hear(&event("refund.created", &long)).await.status, 200);
    for kind in ["", ".", "refund", "refund.", ".created", "refund.created.twice", "plan.created", "\\u0000"]
    {
        let heard = shop.hear(&event(kind, r#""re_1""#)).await;
        assert_eq!(heard.status, 200, "{kind}: {}", heard.text);
    }
    assert_eq!(shop.marks(), (entries, requests), "nothing is asked for and nothing is written");
    // A plain id that is unknown may be an object that this account cannot see yet.
    for kind in [
        "refund.created",
        "charge.dispute.created",
        "checkout.session.completed",
        "payment_intent.succeeded",
        "payment_method.detached",
        "customer.deleted",
        "radar.early_fraud_warning.created",
    ] {
        let heard = shop.hear(&event(kind, r#""xx_1""#)).await;
        assert_eq!(heard.status, 503, "{kind}: {}", heard.text);
        heard.problem(503, "payment_provider_unavailable");
    }
    assert_eq!(shop.marks().0, entries);
}

#[tokio::test]
async fn a_top_up_of_a_wrong_sum_is_refused_before_stripe_hears_of_it() {
    let shop = shop().await;
    let marks = shop.marks();
    let path = "/v1/workspaces/acme/top-ups";
    for amount in [
        "0",
        "-1",
        "0.001",
        "1e3",
        "4.99",
        "10000.01",
        "999999999999999999999",
        "25,00",
        "25.00 ",
        "+25",
        "0x19",
        "NaN",
        "",
    ] {
        let refused = shop.world.post(path, "wrong", &format!(r#"{{"amount_usd":"{amount}"}}"#)).await;
        assert_eq!(refused.problem(422, "invalid_field")["field"], "amount_usd", "{amount}");
    }
    for (body, code) in [
        (r#"{"amount_usd":25}"#, "invalid_field"),
        (r#"{"amount_usd":null}"#, "invalid_field"),
        (r#"{}"#, "invalid_field"),
    ] {
        shop.world.post(path, "wrong", body).await.problem(422, code);
    }
    for body in [
        r#"{"amount_usd":"25.00","currency":"eur"}"#,
        r#"{"amount_eur":"25.00"}"#,
        r#"{"amount_usd":"25.00","tax_usd":"0"}"#,
    ] {
        shop.world.post(path, "wrong", body).await.problem(400, "unknown_field");
    }
    let refused =
        shop.world.post(path, "wrong", r#"{"amount_usd":"25.00","return_url":"javascript:x"}"#).await;
    assert_eq!(refused.problem(422, "invalid_field")["field"], "return_url");
    shop.world.post(path, "", r#"{"amount_usd":"25.00"}"#).await.problem(400, "idempotency_key_required");
    for body in ["{", "[]", "null", r#"{"amount_usd":"25.00"}{}"#] {
        let refused = shop.world.post(path, "wrong", body).await;
        assert!(matches!(refused.status, 400 | 422), "{body}: {}", refused.text);
    }
    assert_eq!(shop.marks(), marks);
}
