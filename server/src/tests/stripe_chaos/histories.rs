//! Random histories by seed. Requests, payers, banks, faults and time take turns; the books must
//! agree at the end.

use std::collections::BTreeMap;

use futures_util::future::LocalBoxFuture;
use futures_util::{StreamExt, stream};
use tollkeeper_testkit::postgres::{is_missing, shared};
use tollkeeper_testkit::random::Random;
use tollkeeper_testkit::stripe::{AfterRetries, Card, Disorder, Fault};

use super::books::{Besides, Counted};
use super::flows::page_of;
use super::*;

/// Actions of one history.
const ACTIONS: u64 = 60;

/// Histories of an everyday run, and of a long one.
const SEEDS: u64 = 40;
const SEEDS_LONG: u64 = 300;
const SEEDS_OF_TWO: u64 = 3;
const SEEDS_OF_TWO_LONG: u64 = 60;

/// Of 100 turns, two are a clean restart, and the next ones up to here a death.
const DEATHS_END: u64 = 7;

const WORKSPACES: [&str; 2] = ["acme", "globex"];

pub const FAULTS: [Fault; 12] = [
    Fault::ErrorBefore,
    Fault::ErrorAfter,
    Fault::SavedError,
    Fault::SavedErrorAfter,
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::HangBefore,
    Fault::HangAfter,
    Fault::Slow(Duration::from_millis(2)),
    Fault::RateLimited,
    Fault::KeyInUse,
    Fault::GarbledAfter,
];

pub const CARDS: [Card; 10] = [
    Card::Good,
    Card::GoodMastercard,
    Card::InsufficientFunds,
    Card::GenericDecline,
    Card::Stolen,
    Card::Lost,
    Card::Expired,
    Card::ProcessingError,
    Card::NeedsAuthentication,
    Card::DeclinedAfterSaving,
];

/// Who does what in a history.
pub struct History {
    pub shop: Shop,
    pub random: Random,
    buyers: BTreeMap<String, Buyer>,
    /// Makes keys.
    count: u64,
    /// Requests that hang: time passes slowly until they go on.
    is_hanging: bool,
    /// How many actions are about plans, and how many requests fail.
    plans_percent: u64,
    faults_percent: u64,
    /// True while the servers are about to die: no months pass then, because a walk that is cut
    /// short finds nothing, and Stripe lists events for 30 days.
    pub is_dying: bool,
    /// How often the servers died, and how often work was under way then.
    pub deaths: usize,
    pub cut: usize,
}

/// One workspace and what its people know.
#[derive(Debug, Default)]
struct Buyer {
    besides: Besides,
    /// Requests for top-ups that were sent: key and body.
    asked: Vec<(String, String)>,
    /// The request for a charge that was not answered: key and body.
    unheard: Option<(String, String)>,
    /// The ids of the pages whose addresses were answered.
    pages: Vec<String>,
}

impl History {
    /// Two workspaces with a little credit, and a day of disorder.
    pub async fn begin(seed: u64, place: Place) -> History {
        let mut random = Random::new(seed);
        // One history alone is printed.
        let is_printed = std::env::var_os("TOLLKEEPER_SEED").is_some();
        let after = [AfterRetries::Cancel, AfterRetries::Unpaid, AfterRetries::PastDue];
        let mut shop = Shop::open(HANGING, *random.pick(&after), place).await;
        shop.printed = is_printed.then(|| Cell::new((0, 0)));
        let plans_percent = *random.pick(&[0, 30, 70]);
        let faults_percent = random.below(25);
        let mut buyers = BTreeMap::new();
        for name in WORKSPACES {
            shop.add_workspace(name).await;
            shop.world.grant(name, "gift", 700_000).await;
            let besides = Besides { given: 700_000, used: 0 };
            buyers.insert(name.to_owned(), Buyer { besides, ..Buyer::default() });
        }
        let mut history = History {
            shop,
            random,
            buyers,
            count: 0,
            is_hanging: false,
            plans_percent,
            faults_percent,
            is_dying: false,
            deaths: 0,
            cut: 0,
        };
        history.save_a_card("acme").await;
        history.pay("acme");
        history.shop.deliver_due().await;
        history.set_rule("acme").await;
        let History { shop, random, .. } = &mut history;
        let disorder = Disorder {
            lost_percent: random.below(40),
            doubled_percent: random.below(40),
            delayed_percent: random.below(60),
            delay_seconds_max: *random.pick(&[60, 3_600, 50_000]),
            shuffled: random.percent(50),
        };
        shop.stripe.mistreat_webhooks(seed, disorder);
        shop.stripe.fail_randomly(seed, faults_percent, &FAULTS);
        shop.stripe.set_tax_basis_points(*random.pick(&[0, 700, 1_900]));
        shop.stripe.set_list_lag(*random.pick(&[0, 0, 3, 20]));
        history
    }

    pub async fn live(mut self, actions: u64) -> History {
        for _ in 0..actions {
            if self.random.percent(50) {
                self.shop.take_turns();
            }
            match self.random.below(100) {
                0..2 => self.shop = self.shop.restart().await,
                2..DEATHS_END => self = Box::pin(self.die_in_the_middle()).await,
                _ => self.act().await,
            }
            self.shop.tell("an action");
            self.is_hanging |= self.shop.stripe.hanging() > 0;
            if self.random.percent(40) {
                self.shop.deliver_due().await;
            }
            if self.random.percent(40) {
                self.shop.poll().await;
            }
            if self.random.percent(5) {
                self.shop.walk().await;
            }
            if self.random.percent(10) {
                self.shop.do_all_at_once().await;
            }
        }
        self
    }

    /// Ends the faults and compares the books.
    async fn end(self) -> (Counted, [usize; 5]) {
        self.shop.settle().await;
        // Webhooks that were lost are not sent again. The walks find what they would have said.
        for _ in 0..3 {
            self.shop.walk().await;
            self.shop.poll().await;
            self.shop.pass_seconds(2 * HOUR);
        }
        self.shop.listen().await;
        let stripe = &self.shop.stripe;
        let requests = stripe.requests();
        let faults = requests.iter().filter(|request| request.fault.is_some()).count();
        let seen = [requests.len(), faults, stripe.objects("event").len(), self.deaths, self.cut];
        let besides = self.buyers.iter().map(|(name, buyer)| (name.clone(), buyer.besides)).collect();
        (self.shop.assert_books_agree(&besides).await, seen)
    }

    pub fn act(&mut self) -> LocalBoxFuture<'_, ()> {
        Box::pin(self.act_once())
    }

    async fn act_once(&mut self) {
        let name = (*self.random.pick(&WORKSPACES)).to_owned();
        if self.random.percent(self.plans_percent) {
            return self.act_on_plan(&name).await;
        }
        match self.random.below(100) {
            0..14 => self.open_top_up(&name).await,
            14..20 => self.ask_again(&name).await,
            20..42 => self.pay(&name),
            42..46 => self.save_a_card(&name).await,
            46..49 => self.set_rule(&name).await,
            49..63 => self.charge(&name).await,
            63..67 => self.refund_elsewhere(),
            67..71 => self.end_something(),
            71..75 => self.dispute(),
            75..78 => self.change_a_card(),
            78..82 => self.refund(&name).await,
            82..84 => self.look(&name).await,
            84 => self.delete_customer(),
            85..97 => self.pass_time(),
            _ => self.release(),
        }
    }

    fn buyer(&mut self, name: &str) -> &mut Buyer {
        self.buyers.get_mut(name).expect("each workspace has a buyer")
    }

    fn key(&mut self) -> String {
        self.count += 1;
        format!("key-{}", self.count)
    }

    /// Asks for a page, and notes its address.
    async fn ask_for_page(&mut self, name: &str, key: &str, body: &str) {
        let path = format!("/v1/workspaces/{name}/top-ups");
        let reply = self.shop.ask("POST", &path, key, body).await;
        assert!(matches!(reply.status, 201 | 503), "{}", reply.text);
        if reply.status == 201 {
            self.note_page(name, &reply.json()["payment"]["checkout_url"]);
        }
    }

    pub fn note_page(&mut self, name: &str, url: &Value) {
        if let Some(page) = page_of(url) {
            self.buyer(name).pages.push(page);
        }
    }

    async fn open_top_up(&mut self, name: &str) {
        let key = self.key();
        let usd = *self.random.pick(&["5.00", "25.00", "25.00", "99.99"]);
        let body = format!(r#"{{"amount_usd":"{usd}"}}"#);
        self.buyer(name).asked.push((key.clone(), body.clone()));
        self.ask_for_page(name, &key, &body).await;
    }

    async fn ask_again(&mut self, name: &str) {
        let asked = self.buyer(name).asked.clone();
        if !asked.is_empty() {
            let (key, body) = self.random.pick(&asked).clone();
            self.ask_for_page(name, &key, &body).await;
        }
    }

    /// A payer fills in a page, if it is open.
    pub fn pay(&mut self, name: &str) {
        let pages = self.buyer(name).pages.clone();
        let shown = pages.iter().map(|page| self.shop.stripe.object(page, &[]));
        let open: Vec<Value> = shown.filter(|page| page["status"] == "open").collect();
        if open.is_empty() {
            return;
        }
        let shown = self.random.pick(&open);
        let page = text(shown, "id");
        if shown["mode"] == "payment" && self.random.percent(20) {
            let _ = self.shop.stripe.pay_checkout_delayed(page);
            return;
        }
        let card = if self.random.percent(75) { Card::Good } else { *self.random.pick(&CARDS) };
        // A declined payer may try again.
        let _ = self.shop.stripe.pay_checkout(page, card);
    }

    async fn save_a_card(&mut self, name: &str) {
        let path = format!("/v1/workspaces/{name}/payment-method");
        if self.random.percent(20) {
            let reply = self.shop.ask("DELETE", &path, "", "").await;
            assert!(matches!(reply.status, 204 | 503), "{}", reply.text);
            return;
        }
        let reply = self.shop.ask("POST", &path, "", "").await;
        assert!(matches!(reply.status, 200 | 503), "{}", reply.text);
        if reply.status == 200 {
            self.note_page(name, &reply.json()["url"]);
        }
    }

    async fn set_rule(&mut self, name: &str) {
        let path = format!("/v1/workspaces/{name}/auto-top-up");
        if self.random.percent(15) {
            self.shop.ask("DELETE", &path, "", "").await;
            return;
        }
        let cap = *self.random.pick(&["25.00", "60.00", "1000.00"]);
        let body = format!(r#"{{"threshold_usd":"5.00","amount_usd":"20.00","monthly_cap_usd":"{cap}"}}"#);
        let reply = self.shop.ask("PUT", &path, "", &body).await;
        assert!(matches!(reply.status, 200 | 409), "{}", reply.text);
    }

    async fn charge(&mut self, name: &str) {
        let key = self.key();
        let quantity = 1 + self.random.below(40);
        let body = format!(r#"{{"operation":"virtual_try_on","quantity":{quantity}}}"#);
        self.buyer(name).unheard = Some((key, body));
        self.ask_for_charge(name).await;
    }

    /// Sends the request for a charge that was not answered yet.
    async fn ask_for_charge(&mut self, name: &str) {
        let Some((key, body)) = self.buyer(name).unheard.clone() else { return };
        let reply = self.shop.ask("POST", &format!("/v1/workspaces/{name}/charges"), &key, &body).await;
        assert!(matches!(reply.status, 201 | 402), "{}", reply.text);
        let buyer = self.buyer(name);
        buyer.unheard = None;
        if reply.status == 201 {
            buyer.besides.used += int(&reply.json(), "amount");
        }
    }

    /// Who had no answer sends the same request again, with its key.
    pub async fn repeat_charges(&mut self) {
        for name in WORKSPACES {
            self.ask_for_charge(name).await;
        }
    }

    /// A payment that was received, with what was not refunded of it.
    fn some_payment(&mut self) -> Option<(String, i64)> {
        let charges = self.shop.stripe.objects("charge");
        let paid: Vec<&Value> = charges.iter().filter(|charge| charge["status"] == "succeeded").collect();
        if paid.is_empty() {
            return None;
        }
        let charge = *self.random.pick(&paid);
        let left = int(charge, "amount") - int(charge, "amount_refunded");
        Some((text(charge, "payment_intent").to_owned(), left))
    }

    fn part_of(&mut self, cents: i64) -> i64 {
        let bound = u64::try_from(cents).expect("a sum is not negative").max(1);
        if self.random.percent(30) { cents } else { 1 + i64::try_from(self.random.below(bound)).unwrap_or(0) }
    }

    fn refund_elsewhere(&mut self) {
        let status = *self.random.pick(&["succeeded", "pending", "requires_action"]);
        self.shop.stripe.set_refund_status(status);
        if let Some((payment, left)) = self.some_payment()
            && left > 0
        {
            let cents = self.part_of(left);
            let _ = self.shop.stripe.refund_elsewhere(&payment, cents);
        }
    }

    /// A refund, a dispute or a slow payment goes on.
    fn end_something(&mut self) {
        let stripe = &self.shop.stripe;
        let is_slow = |intent: &Value| intent["status"] == "processing";
        let slow: Vec<Value> = stripe.objects("payment_intent").into_iter().filter(is_slow).collect();
        let runs = |refund: &Value| !matches!(text(refund, "status"), "failed" | "canceled");
        let refunds: Vec<Value> = stripe.objects("refund").into_iter().filter(runs).collect();
        let disputes = stripe.objects("dispute");
        match self.random.below(3) {
            0 if !slow.is_empty() => {
                let payment = self.random.pick(&slow);
                stripe.settle_delayed(text(payment, "id"), self.random.percent(70));
            }
            1 if !refunds.is_empty() => {
                let refund = self.random.pick(&refunds);
                let status = *self.random.pick(&["succeeded", "failed", "canceled"]);
                stripe.finish_refund(text(refund, "id"), status);
            }
            _ if !disputes.is_empty() => {
                let dispute = self.random.pick(&disputes);
                let statuses =
                    ["needs_response", "under_review", "won", "lost", "appeal_under_review", "prevented"];
                let &status = self.random.pick(&statuses);
                stripe.set_dispute_status(text(dispute, "id"), status);
            }
            _ => {}
        }
    }

    fn dispute(&mut self) {
        let Some((payment, _)) = self.some_payment() else { return };
        if self.random.percent(15) {
            let _ = self.shop.stripe.warn_of_fraud(&payment);
            return;
        }
        let amount = int(&self.shop.stripe.object(&payment, &[]), "amount");
        let cents = self.part_of(amount);
        let status = *self.random.pick(&["needs_response", "needs_response", "warning_needs_response"]);
        let _ = self.shop.stripe.open_dispute(&payment, cents, status);
    }

    /// A bank or a payer does something to a saved card.
    fn change_a_card(&mut self) {
        let is_saved = |method: &Value| method["customer"].is_string();
        let cards: Vec<Value> =
            self.shop.stripe.objects("payment_method").into_iter().filter(is_saved).collect();
        if cards.is_empty() {
            return;
        }
        let card = text(self.random.pick(&cards), "id");
        match self.random.below(4) {
            0 => self.shop.stripe.remove_card(card),
            1 => self.shop.stripe.renew_card(card, 2_041),
            _ => self.shop.stripe.set_card(card, *self.random.pick(&CARDS)),
        }
    }

    /// The platform sends money of a top-up back.
    async fn refund(&mut self, name: &str) {
        let path = format!("/v1/workspaces/{name}/top-ups");
        let all = self.shop.ask("GET", &path, "", "").await.json();
        let all = all["data"].as_array().into_iter().flatten();
        let all: Vec<&Value> = all.filter(|top_up| top_up["status"] == "succeeded").collect();
        if all.is_empty() {
            return;
        }
        let &one = self.random.pick(&all);
        let (id, key) = (text(one, "id").to_owned(), self.key());
        let body = if self.random.percent(50) {
            r#"{"amount_usd":"3.00","reason":"asked"}"#
        } else {
            r#"{"reason":"asked"}"#
        };
        let reply = self.shop.ask("POST", &format!("{path}/{id}/refund"), &key, body).await;
        assert!(matches!(reply.status, 201 | 409 | 422 | 503), "{}", reply.text);
    }

    /// Somebody looks at a top-up, which may ask Stripe.
    async fn look(&mut self, name: &str) {
        let path = format!("/v1/workspaces/{name}/top-ups");
        let all = self.shop.ask("GET", &path, "", "").await.json();
        for top_up in all["data"].as_array().into_iter().flatten().take(2) {
            let shown = self.shop.ask("GET", &format!("{path}/{}", text(top_up, "id")), "", "").await;
            assert_eq!(shown.status, 200, "{}", shown.text);
            self.note_page(name, &shown.json()["payment"]["checkout_url"]);
        }
        let portal = self.shop.ask("POST", &format!("/v1/workspaces/{name}/billing-portal"), "", "").await;
        assert!(matches!(portal.status, 200 | 503), "{}", portal.text);
    }

    fn delete_customer(&mut self) {
        let customers = self.shop.stripe.objects("customer");
        let customers: Vec<&Value> = customers.iter().filter(|one| one["deleted"].is_null()).collect();
        if !customers.is_empty() {
            let &one = self.random.pick(&customers);
            self.shop.stripe.delete_customer(text(one, "id"));
        }
    }

    /// Time passes, up to days. No request hangs for longer than a minute at Stripe.
    pub fn pass_time(&mut self) {
        let seconds = *self.random.pick(&[1, 6, 60, 130, 1_200, HOUR, 5 * HOUR, DAY, 3 * DAY]);
        if seconds > 60 {
            self.release();
        }
        self.shop.pass_seconds(seconds);
    }

    pub fn release(&mut self) {
        self.shop.stripe.release_hanging();
        self.is_hanging = false;
    }

    /// An hour without faults, in which the server finds what it did not hear.
    pub async fn have_a_good_hour(&mut self) {
        self.release();
        self.shop.stripe.clear_faults();
        self.shop.pass_seconds(HOUR);
        self.shop.walk().await;
        self.shop.poll().await;
        let seed = self.random.below(u64::MAX);
        self.shop.stripe.fail_randomly(seed, self.faults_percent, &FAULTS);
    }
}

/// The seeds of a run: those that the environment names, or the first of an everyday or a long one.
fn seeds(today: u64, long: u64) -> Vec<u64> {
    let number = |name: &str| {
        let value = std::env::var(name).ok()?;
        Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    match (number("TOLLKEEPER_SEED"), number("TOLLKEEPER_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, Some(count)) => (0..count).collect(),
        (None, None) => (0..if is_long() { long } else { today }).collect(),
    }
}

/// Lives the histories of these seeds; returns the sums of what was compared.
async fn live_all(seeds: &[u64], place: impl Fn() -> Place) -> Counted {
    let mut sums = Counted::default();
    let mut seen = [0; 5];
    let mut failed = Vec::new();
    let histories = seeds.iter().map(|seed| {
        let place = place();
        // Boxed, as is each action: the futures are large, and moving them takes as much stack.
        let history = async move { History::begin(*seed, place).await.live(ACTIONS).await.end().await };
        let history = Box::pin(history);
        named(format!("TOLLKEEPER_SEED={seed}"), history)
    });
    let mut histories = std::pin::pin!(stream::iter(histories).buffer_unordered(AT_ONCE));
    while let Some(ended) = histories.next().await {
        match ended {
            Ok((counted, of_history)) => {
                sums += counted;
                seen.iter_mut().zip(of_history).for_each(|(sum, one)| *sum += one);
            }
            Err(name) => failed.push(name),
        }
    }
    assert_eq!(failed, Vec::<String>::new(), "these histories failed");
    let (count, [requests, faults, events, deaths, cut]) = (seeds.len(), seen);
    println!(
        "{count} histories, {requests} requests, {faults} faults, {events} events, {deaths} deaths, {cut} in the \
         middle of something: {sums:?}"
    );
    assert!(3 * cut > count || count < 10, "of {deaths} deaths {cut} cut something short");
    sums
}

#[tokio::test]
async fn after_random_bad_days_the_books_are_those_of_stripe() {
    let seeds = seeds(SEEDS, SEEDS_LONG);
    let sums = live_all(&seeds, || Place::Directory).await;
    let (count, plans) = (seeds.len() as u64, &sums.plans);
    let is_telling = sums.payments > count && sums.lost_cents > 0 && plans.periods > 0;
    assert!(is_telling || count < 10, "the histories show little: {sums:?}");
    // What is rare is not in every few.
    let is_telling = sums.in_debt > 0 && sums.automatic > 0 && sums.sent_back > 0;
    let is_telling = is_telling && 3 * plans.periods > count && plans.changes > 0;
    let is_telling = is_telling && plans.ended > 0 && plans.lost_cents > 0;
    assert!(is_telling || count < 100, "the histories show little: {sums:?}");
}

#[tokio::test]
async fn after_bad_days_of_two_servers_on_one_database_the_books_are_those_of_stripe() {
    if is_missing() {
        return;
    }
    let seeds = seeds(SEEDS_OF_TWO, SEEDS_OF_TWO_LONG);
    let sums = live_all(&seeds, || Place::Database(shared().database(), None)).await;
    assert!(sums.payments > 0, "the histories show little: {sums:?}");
}
