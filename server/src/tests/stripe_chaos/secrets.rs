//! What must be found nowhere after a whole history: keys and secrets, numbers of cards, names and
//! addresses of payers, addresses of pages, bodies of webhooks.
//!
//! Looked at are the files of the directory, all rows of a database, an export, the log of the
//! thread that serves, and every answer. Addresses of pages are answers, and so are nowhere else.
//! What may be kept of a card is found, which shows that the search works.

use std::io::Write;
use std::sync::Mutex;

use tollkeeper_engine::embedded::{audit, export};
use tollkeeper_testkit::postgres::{is_missing, shared};
use tollkeeper_testkit::stripe::{Card, StripeStandIn};
use tracing_subscriber::filter::LevelFilter;

use super::histories::{CARDS, History};
use super::*;

/// A history of many kinds of entries.
const SEED: u64 = 4;
const ACTIONS: u64 = 150;

/// What is nowhere, besides the numbers of cards.
const NEVER: [&str; 9] = [
    KEY,
    "rk_test_standin",
    "whsec_standin",
    "_secret_standin",
    "standinfingerprt",
    "pat@payer.example",
    "Pat Payer",
    "previous_attributes",
    "pending_webhooks",
];

/// Parts of the addresses of pages, which are in answers alone.
const PAGES: [&str; 2] = ["/c/pay/", "/p/session/"];

fn secrets() -> impl Iterator<Item = &'static str> {
    NEVER.into_iter().chain(CARDS.map(Card::number))
}

/// The id of a payment, which may be kept.
fn some_payment(stripe: &StripeStandIn) -> String {
    let paid = stripe.objects("payment_intent").into_iter().find(|intent| intent["status"] == "succeeded");
    text(&paid.expect("somebody paid"), "id").to_owned()
}

/// The last four digits of a card, which may be kept.
fn last_four() -> &'static str {
    Card::Good.number().get(12..).expect("it has 16 digits")
}

/// Text that the log has written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// All bytes of the files in a directory and below.
fn files(dir: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for file in std::fs::read_dir(dir).expect("the directory can be listed") {
        let path = file.expect("the directory can be listed").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.extend(std::fs::read(&path).expect("the file can be read"));
        }
    }
    all
}

fn holds(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window == part.as_bytes())
}

/// What the server shows of the payments of a workspace, and of itself.
async fn look_at_everything(shop: &Shop) {
    for path in
        ["entries?limit=200", "top-ups?limit=200", "grants", "payment-method", "auto-top-up", "subscription"]
    {
        for workspace in ["acme", "globex"] {
            shop.ask("GET", &format!("/v1/workspaces/{workspace}/{path}"), "", "").await;
        }
    }
    for path in ["/v1/payments/unmatched", "/v1/report", "/v1/workspaces", "/metrics", "/readyz"] {
        assert_eq!(shop.ask("GET", path, "", "").await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn no_secret_and_no_person_is_kept_logged_or_shown() {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(LevelFilter::TRACE)
        .with_writer(move || writer.clone());
    // With one subscriber alone, a line that another test writes first would never be logged here.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let logged = tracing::subscriber::set_default(log.finish());
    let mut history = History::begin(SEED, Place::Directory).await;
    history.shop.answers = Some(RefCell::default());
    let Shop { world, stripe, answers, .. } = {
        let history = history.live(ACTIONS).await;
        history.shop.settle().await;
        look_at_everything(&history.shop).await;
        history.shop
    };
    let World { app, clock: _, _dir: dir } = world;
    app.engine().close().await.expect("the engine closes");
    drop(app);
    drop(logged);
    let data = dir.path().join("data");
    let mut exported = Vec::new();
    export(&data, &mut exported).expect("the directory can be exported");
    let stored = files(&data);
    let audited = format!("{:?}", audit(&data).expect("the directory can be audited"));
    let lines = lines.0.lock().expect("no writer panics").clone();
    let answers = answers.expect("they were kept").into_inner().join("\n");

    let paid = some_payment(&stripe);
    assert!(holds(&stored, &paid) && holds(&exported, &paid), "the search works");
    assert!(holds(&stored, last_four()));
    assert!(holds(&lines, "payment provider") && holds(answers.as_bytes(), "checkout_url"));

    let places = [
        ("the files", stored.as_slice()),
        ("the export", exported.as_slice()),
        ("the log", lines.as_slice()),
        ("the audit", audited.as_bytes()),
        ("the answers", answers.as_bytes()),
    ];
    for (place, bytes) in places {
        for secret in secrets() {
            assert!(!holds(bytes, secret), "{place} hold {secret}");
        }
        let is_answer = place == "the answers";
        for page in PAGES {
            assert!(is_answer || !holds(bytes, page), "{place} hold the address of a page");
        }
    }
}

#[tokio::test]
async fn no_secret_and_no_person_is_in_a_row_of_a_database() {
    if is_missing() {
        return;
    }
    let history = History::begin(SEED, Place::Database(shared().database(), None)).await;
    let history = history.live(ACTIONS).await;
    history.shop.settle().await;
    let Shop { world, stripe, place, .. } = history.shop;
    let Place::Database(database, _others) = place else { panic!("it is a database") };
    let rows = database.dump();
    drop(world);
    // Entries and states are bytes, which are written as digits.
    let digits = |part: &str| part.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let as_digits = |part: &str| holds(rows.as_bytes(), &digits(part));
    assert!(as_digits(&some_payment(&stripe)) && as_digits(last_four()), "the search works");
    assert!(holds(rows.as_bytes(), "acme"), "texts are found too");
    for secret in secrets().chain(PAGES) {
        let is_kept = holds(rows.as_bytes(), secret) || as_digits(secret);
        assert!(!is_kept, "the database holds {secret}");
    }
}
