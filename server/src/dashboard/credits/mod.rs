//! The page about credits: adding them, the automatic top-up, what was added and what was paid.
//!
//! A form to add credits holds a random key that the page made. With the amount it is the
//! idempotency key of the top-up, so a form that is sent twice opens one. Credit is added only once
//! the payment was confirmed (see `top_up`).

pub mod automatic;
pub mod history;
pub mod top_up;

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_engine::{Page, Reads};
use tollkeeper_ledger::{Micros, Role, TopUpBounds, TopUpId};

use self::automatic::Automatic;
use self::history::{GrantRow, List, PaymentRow};
use super::amounts::read_cents;
use super::fields::Field;
use super::form_key;
use super::frame::{Frame, Tab, Visit};
use super::page::{page, see_other};
use super::words::CreditsWords;
use crate::access::Rule;
use crate::actions::top_ups;
use crate::http::call::{Call, existing};
use crate::http::problem::{CURSOR_RULE, Code, Problem};
use crate::http::route::Route;

/// The path of the page.
pub const PATH: &str = "/portal/credits";

const ADMIN: Rule = Rule::SignedIn(Role::Admin);

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, ADMIN, "Credits", |call| Box::pin(credits(call)))
        .page()
        .parameters(&["notice", "grants", "payments"]),
    Route::new(Method::POST, PATH, ADMIN, "Add credits", |call| Box::pin(add(call)))
        .page()
        .redirects()
        .problems(&[Code::InvalidField]),
];

/// The amounts that a button adds, in cents.
const PRESETS: [i64; 4] = [1_000, 2_500, 5_000, 10_000];

/// The rows of a list on the page.
const ROWS: usize = 50;

/// The longest cursor.
const CURSOR_MAX_BYTES: usize = 256;

#[derive(Template)]
#[template(path = "dashboard/credits.html")]
struct Credits<'a> {
    frame: Frame<'a>,
    words: &'static CreditsWords,
    token: &'a str,
    /// What went wrong; empty for nothing.
    error: &'a str,
    /// What was done; empty for nothing.
    notice: &'a str,
    /// What is owed; `None` if nothing is.
    owed: Option<String>,
    /// Whether credit was added before, and none is left.
    is_empty: bool,
    /// The time zone of the dates.
    zone: String,
    add: Add,
    automatic: Automatic,
    grants: List<GrantRow>,
    payments: List<PaymentRow>,
}

/// The forms that add credits.
struct Add {
    /// The key of the forms: one form opens one top-up.
    key: String,
    presets: Vec<Preset>,
    amount: Field,
    bounds: String,
    never_expire: String,
    /// How it is paid.
    way: &'static str,
    button: &'static str,
}

/// An amount that a button adds.
struct Preset {
    value: String,
    label: String,
    credits: String,
}

/// What the page shows of a form that was sent: a message, and the fields as they were typed.
#[derive(Default)]
struct Sent {
    error: &'static str,
    amount: Field,
    rule: Option<[Field; 3]>,
}

/// `GET /portal/credits`.
async fn credits(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    show(&call, &visit, StatusCode::OK, Sent::default()).await
}

/// The page, with what was typed in a form that was not accepted.
async fn show(call: &Call, visit: &Visit<'_>, status: StatusCode, sent: Sent) -> Result<Response, Problem> {
    let (engine, workspace) = (call.app.engine(), visit.workspace());
    let Sent { error, amount, rule } = sent;
    let payments = top_ups::payments(call, workspace).await?;
    let grants = engine.grants(workspace, list_page(call, "grants")?).await?;
    let grants = existing(workspace, grants)?;
    let words = &visit.words().credits;
    let debt = visit.balance.debt;
    let shown = Credits {
        frame: visit.frame(Tab::Credits),
        words,
        token: &visit.signed_in.form_token,
        error,
        notice: match call.query().get("notice") {
            Some("on") => words.automatic.saved,
            Some("off") => words.automatic.turned_off,
            Some("card") => words.automatic.card_removed,
            _ => "",
        },
        owed: (debt > Micros::ZERO).then(|| (words.owed)(&visit.format.both_units(debt))),
        is_empty: visit.balance.available == Micros::ZERO && !grants.data.is_empty(),
        zone: visit.zone(call.now),
        add: Add::of(call, visit, amount)?,
        automatic: Automatic::of(call, visit, &payments, rule).await?,
        grants: history::grants(call, visit, &grants),
        payments: history::payments(call, visit, &payments, &list_page(call, "payments")?)?,
    };
    Ok(page(status, &shown))
}

/// The page of a list, whose cursor is in the parameter `name`.
fn list_page(call: &Call, name: &'static str) -> Result<Page, Problem> {
    let short = |text: &str| (text.len() <= CURSOR_MAX_BYTES && !text.is_empty()).then(|| text.to_owned());
    let cursor = call.query().value(name, short, CURSOR_RULE)?;
    Ok(Page { limit: ROWS, cursor })
}

/// The path of the page of a top-up.
fn path_of(top_up: TopUpId) -> String {
    format!("{PATH}/{top_up}")
}

impl Add {
    fn of(call: &Call, visit: &Visit<'_>, amount: Field) -> Result<Add, Problem> {
        let (words, format) = (&visit.words().credits, &visit.format);
        let bounds = call.app.payments.top_up_bounds;
        let by_page = call.app.stripe.is_some();
        let presets = PRESETS.into_iter().filter(|cents| bounds.allow(*cents)).map(|cents| Preset {
            value: Micros::from_cents(cents).usd().to_string(),
            label: (words.add_amount)(&format.cents(cents)),
            // The unit may have a line of its own.
            credits: format.micro_units(Micros::from_cents(cents)).replace('\u{a0}', " "),
        });
        Ok(Add {
            key: form_key::fresh()?,
            presets: presets.collect(),
            amount,
            bounds: (words.bounds)(&format.cents(bounds.min_cents), &format.cents(bounds.max_cents)),
            never_expire: (words.never_expire)(&format.micro_units(Micros::from_cents(100))),
            way: if by_page { words.on_a_page } else { words.by_hand },
            button: if by_page { words.pay_button } else { words.add_button },
        })
    }
}

/// `POST /portal/credits`.
async fn add(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().credits;
    let typed = call.form().get("amount").unwrap_or_default();
    let TopUpBounds { min_cents, max_cents } = call.app.payments.top_up_bounds;
    let cents = match read_cents(visit.format.language, typed) {
        Some(cents) if (min_cents..=max_cents).contains(&cents) => Ok(cents),
        Some(_) => Err((words.out_of_bounds)(&visit.format.cents(min_cents), &visit.format.cents(max_cents))),
        None => Err(words.not_an_amount.to_owned()),
    };
    let (error, problem) = match cents {
        Ok(cents) => match form_key::read(call.form().get("key"), &format!("portal:{cents}")) {
            Some(key) => {
                let (opened, _) = top_ups::open(&call, visit.workspace(), key, cents).await?;
                let next = if call.app.stripe.is_some() { "/pay" } else { "" };
                return Ok(see_other(&format!("{}{next}", path_of(opened.id))));
            }
            None => (words.stale_form, None),
        },
        Err(why) => (words.nothing_was_charged, Some(why)),
    };
    let amount = Field::default().with_value(typed).with_error(problem.unwrap_or_default());
    let sent = Sent { error, amount, rule: None };
    show(&call, &visit, StatusCode::UNPROCESSABLE_ENTITY, sent).await
}
