//! Faults, idempotency keys, refusals, lists and webhooks.

use std::collections::BTreeSet;

use super::super::{Disorder, Fault, StripeStandIn};
use super::{Client, id, send, top_up_form};

const INTENT: &str = "amount=1000&currency=usd&confirm=true&off_session=true&error_on_requires_action=true\
                      &payment_method=";

const DAY: i64 = 24 * 3600;

/// A customer with a good saved card, and the form that charges it.
fn saved(client: &Client) -> (String, String) {
    let customer = client.customer();
    let card = client.stripe.save_card(&customer, super::super::Card::Good);
    let form = format!("{INTENT}{card}&customer={customer}");
    (customer, form)
}

#[test]
fn the_same_key_charges_once_and_replays_for_a_day() {
    let client = Client::start();
    let (customer, form) = saved(&client);
    let charge = |key| client.send("POST", "payment_intents", &form, Some(key)).expect("it is answered");
    let first = charge("k1");
    assert_eq!(first.0, 200);
    assert_eq!(charge("k1"), first);
    assert!(client.stripe.requests().last().is_some_and(|request| request.replayed));
    let other = client.send("POST", "payment_intents", &form.replace("1000", "2000"), Some("k1"));
    let (status, error) = other.expect("it is answered");
    assert_eq!((status, &error["error"]["type"]), (400, &"idempotency_error".into()));
    assert_eq!(client.stripe.payments_succeeded(&customer), 1);
    client.stripe.advance(DAY);
    assert_eq!(charge("k1").0, 200);
    assert_eq!(client.stripe.payments_succeeded(&customer), 2);
}

#[test]
fn each_fault_has_its_effect_and_its_replay() {
    // The fault, the first answer, the answer to the same key, payments after both.
    let expected = [
        (Fault::ErrorBefore, Some(500), 200, 0),
        (Fault::ErrorAfter, Some(500), 200, 1),
        (Fault::SavedError, Some(500), 500, 0),
        (Fault::SavedErrorAfter, Some(500), 500, 1),
        (Fault::CutBefore, None, 200, 0),
        (Fault::CutAfter, None, 200, 1),
        (Fault::RateLimited, Some(429), 200, 0),
        (Fault::KeyInUse, Some(409), 200, 0),
        (Fault::GarbledAfter, Some(200), 200, 1),
    ];
    for (fault, first, second, effect) in expected {
        let client = Client::start();
        let (customer, form) = saved(&client);
        client.stripe.fail_next("POST", "/v1/payment_intents", fault);
        let charge = || client.send("POST", "payment_intents", &form, Some("k")).map(|(status, _)| status);
        assert_eq!(charge(), first, "{fault:?}");
        assert_eq!(client.stripe.payments_succeeded(&customer), effect, "{fault:?}");
        assert_eq!(charge(), Some(second), "{fault:?}");
        let at_most_once = usize::from(second == 200).max(effect);
        assert_eq!(client.stripe.payments_succeeded(&customer), at_most_once, "{fault:?}");
        assert_eq!(client.stripe.faults_left(), 0);
    }
}

#[test]
fn a_request_that_hangs_holds_its_key_until_it_is_released() {
    let client = Client::start();
    let (customer, form) = saved(&client);
    client.stripe.fail_next("POST", "/v1/payment_intents", Fault::HangBefore);
    let (base, sent) = (client.stripe.base_url().to_owned(), form.clone());
    let first = std::thread::spawn(move || send(&base, "POST", "payment_intents", &sent, Some("k")));
    client.stripe.wait_for_hanging(1);
    let second = client.send("POST", "payment_intents", &form, Some("k")).expect("it is answered");
    assert_eq!((second.0, &second.1["error"]["code"]), (409, &"idempotency_key_in_use".into()));
    assert_eq!(client.stripe.payments_succeeded(&customer), 0);
    client.stripe.release_hanging();
    let first = first.join().expect("the client ends").expect("it is answered");
    assert_eq!(first.0, 200);
    assert_eq!(client.send("POST", "payment_intents", &form, Some("k")), Some(first));
    assert_eq!(client.stripe.payments_succeeded(&customer), 1);
}

#[test]
fn a_request_goes_on_after_its_client_has_given_up() {
    let client = Client::start();
    let (customer, form) = saved(&client);
    client.stripe.fail_next("POST", "/v1/payment_intents", Fault::HangBefore);
    let address = client.stripe.base_url().trim_start_matches("http://").to_owned();
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    let head = format!(
        "POST /v1/payment_intents HTTP/1.1\r\nhost: stripe\r\nauthorization: Bearer sk_test_standin\r\n\
         stripe-version: 2026-10-28.endive\r\nidempotency-key: k\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    std::io::Write::write_all(&mut stream, head.as_bytes()).expect("it reads");
    client.stripe.wait_for_hanging(1);
    drop(stream);
    assert_eq!(client.stripe.payments_succeeded(&customer), 0);
    client.stripe.release_hanging();
    let paid = || (client.stripe.payments_succeeded(&customer) == 1).then_some(());
    crate::retry::retry_for(std::time::Duration::from_secs(60), "the request goes on", paid);
    let charge = || client.send("POST", "payment_intents", &form, Some("k")).map(|(status, _)| status);
    let replayed = || (charge() == Some(200)).then_some(());
    crate::retry::retry_for(std::time::Duration::from_secs(60), "the key is free", replayed);
    assert_eq!(client.stripe.payments_succeeded(&customer), 1);
}

#[test]
fn a_seeded_schedule_never_charges_twice_for_one_key() {
    let client = Client::start();
    let (customer, form) = saved(&client);
    let faults = [Fault::ErrorBefore, Fault::ErrorAfter, Fault::CutBefore, Fault::CutAfter];
    client.stripe.fail_randomly(3, 50, &faults);
    for number in 0..20 {
        let key = format!("k{number}");
        let charge = || client.send("POST", "payment_intents", &form, Some(&key));
        while charge().is_none_or(|(status, _)| status != 200) {}
    }
    assert_eq!(client.stripe.payments_succeeded(&customer), 20);
    assert!(client.stripe.requests().iter().filter(|request| request.fault.is_some()).count() > 5);
}

#[test]
fn refusals_have_the_shape_of_stripe() {
    let client = Client::start();
    let refused = |method, path, form| client.refused(method, path, form);
    assert_eq!(refused("GET", "customers/cus_none", ""), (404, "resource_missing".to_owned()));
    assert_eq!(refused("POST", "customers", "nmae=x"), (400, "parameter_unknown".to_owned()));
    assert_eq!(refused("POST", "payment_intents", "currency=usd"), (400, "parameter_missing".to_owned()));
    let small = refused("POST", "payment_intents", "currency=usd&amount=49");
    assert_eq!(small, (400, "amount_too_small".to_owned()));
    let unknown = refused("POST", "refunds", "payment_intent=pi_none");
    assert_eq!(unknown, (400, "resource_missing".to_owned()));
    assert_eq!(refused("GET", "nothing", "").0, 404);
    let url = format!("{}/v1/customers", client.stripe.base_url());
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build();
    let agent = ureq::Agent::new_with_config(config);
    let answer = agent.get(&url).header("authorization", "Bearer sk_other").call().expect("it is answered");
    assert_eq!(answer.status().as_u16(), 401);
    let unversioned = agent.get(&url).header("authorization", "Bearer sk_test_standin").call();
    assert_eq!(unversioned.expect("it is answered").status().as_u16(), 400);
}

#[test]
fn lists_have_pages_and_lag_behind() {
    let client = Client::start();
    let customer = client.customer();
    for _ in 0..5 {
        client.post("checkout/sessions", &top_up_form(&customer, 500));
    }
    let (mut seen, mut after) = (BTreeSet::new(), String::new());
    loop {
        let page = client.get(&format!("checkout/sessions?customer={customer}&limit=2{after}"));
        let data = page["data"].as_array().expect("a list has data");
        seen.extend(data.iter().map(id));
        if page["has_more"] == false {
            break;
        }
        after = format!("&starting_after={}", id(data.last().expect("a page is not empty")));
    }
    assert_eq!(seen.len(), 5);
    client.stripe.set_list_lag(60);
    let length = |path: &str| client.get(path)["data"].as_array().map(Vec::len);
    assert_eq!(length("checkout/sessions"), Some(0));
    client.stripe.advance(60);
    assert_eq!(length("checkout/sessions"), Some(5));
}

#[test]
fn events_are_listed_for_thirty_days() {
    let client = Client::start();
    client.customer();
    let length = || client.get("events?types[]=customer.*")["data"].as_array().map(Vec::len);
    assert_eq!(length(), Some(1));
    client.stripe.advance(30 * DAY + 1);
    assert_eq!(length(), Some(0));
}

#[test]
fn a_webhook_that_nobody_answers_is_tried_again() {
    let client = Client::start();
    client.customer();
    // A port that nothing listens on.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    let url = format!("http://{}/webhooks/stripe", port.expect("this machine has a free port"));
    let first = client.stripe.deliver_due(&url);
    assert_eq!((first.len(), first[0].status), (1, None));
    assert!(client.stripe.deliver_due(&url).is_empty(), "the next attempt is an hour later");
    client.stripe.advance(3600);
    assert_eq!(client.stripe.deliver_due(&url), first);
}

#[test]
fn webhooks_are_picked_signed_and_lost() {
    let client = Client::start();
    client.customer();
    let [webhook] = &client.stripe.take_events()[..] else { panic!("one event arose") };
    assert_eq!(webhook.kind, "customer.created");
    let signature = StripeStandIn::signature(&["whsec_standin"], client.stripe.now(), &webhook.body);
    assert!(webhook.headers.contains(&("stripe-signature".to_owned(), signature)));
    assert!(client.stripe.take_events().is_empty());
    client.stripe.mistreat_webhooks(1, Disorder { lost_percent: 100, ..Disorder::default() });
    client.customer();
    assert!(client.stripe.pending_events().is_empty());
    assert_eq!(client.get("events")["data"].as_array().map(Vec::len), Some(2), "a lost event is listed");
}
