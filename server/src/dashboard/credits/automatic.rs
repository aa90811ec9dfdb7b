//! The automatic top-up on the page about credits: its rule, and the saved card that pays for it.
//!
//! A card is saved on a page of the payment provider. To remove it asks once more.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_ledger::{Card, Micros, Payments, bounds};

use super::{ADMIN, PATH, Sent, show};
use crate::actions::auto_top_up::{self, Buys, Known, Rule};
use crate::actions::cards;
use crate::dashboard::amounts::{read_cents, read_usd, typed_usd};
use crate::dashboard::confirm::Confirm;
use crate::dashboard::fields::Field;
use crate::dashboard::frame::{Tab, Visit};
use crate::dashboard::page::see_other;
use crate::dashboard::provider::{away, leave};
use crate::http::call::Call;
use crate::http::problem::{Code, Problem};
use crate::http::route::Route;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::POST, "/portal/credits/auto-top-up", ADMIN, "Set the automatic top-up", |call| {
        Box::pin(set(call))
    })
    .page()
    .redirects()
    .problems(&[Code::InvalidField]),
    Route::new(
        Method::POST,
        "/portal/credits/auto-top-up/off",
        ADMIN,
        "Turn off the automatic top-up",
        |call| Box::pin(turn_off(call)),
    )
    .page()
    .redirects(),
    Route::new(Method::POST, "/portal/credits/card", ADMIN, "Go to the page that saves a card", |call| {
        Box::pin(save_card(call))
    })
    .page()
    .problems(&[Code::NotFound, Code::PaymentProviderUnavailable]),
    Route::new(Method::POST, "/portal/credits/card/remove", ADMIN, "Remove the saved card", |call| {
        Box::pin(remove_card(call))
    })
    .page()
    .redirects()
    .problems(&[Code::PaymentProviderUnavailable]),
    Route::new(
        Method::POST,
        "/portal/credits/billing",
        ADMIN,
        "Go to the page for cards, addresses and invoices",
        |call| Box::pin(billing_portal(call)),
    )
    .page()
    .problems(&[Code::NotFound, Code::PaymentProviderUnavailable]),
];

/// What the page shows of the automatic top-up.
pub struct Automatic {
    /// Whether the payment provider can save a card.
    pub can_save: bool,
    pub card: Option<String>,
    /// Whether it is on, why it stopped, what was bought.
    pub lines: Vec<String>,
    pub is_running: bool,
    pub threshold: Field,
    pub amount: Field,
    pub cap: Field,
}

impl Automatic {
    /// The rule as it is now, or as it was typed in a form that was not accepted.
    ///
    /// # Errors
    /// The engine cannot read.
    pub async fn of(
        call: &Call,
        visit: &Visit<'_>,
        payments: &Payments,
        typed: Option<[Field; 3]>,
    ) -> Result<Automatic, Problem> {
        let known = auto_top_up::find(call, visit.workspace()).await?;
        let rule = known.map(|known| known.rule);
        let filled = |amount| Field::default().with_value(typed_usd(&visit.format, amount));
        let cents = |cents| filled(Micros::from_cents(cents));
        let set = rule.map(|rule| [filled(rule.threshold), cents(rule.cents), cents(rule.monthly_cap_cents)]);
        let [threshold, amount, cap] = typed.or(set).unwrap_or_default();
        Ok(Automatic {
            can_save: call.app.stripe.is_some(),
            card: payments.card.as_ref().map(|card| card_line(visit, card)),
            lines: lines(visit, known),
            is_running: known.is_some_and(|known| !matches!(known.buys, Buys::Stopped(_))),
            threshold,
            amount,
            cap,
        })
    }
}

fn lines(visit: &Visit<'_>, known: Option<Known>) -> Vec<String> {
    let (words, format) = (&visit.words().credits.automatic, &visit.format);
    let Some(Known { rule, buys, bought_this_month_cents }) = known else {
        return vec![words.off.to_owned()];
    };
    let on = || (words.on)(&format.usd(rule.threshold), &format.cents(rule.cents));
    let mut lines = match buys {
        Buys::Active => vec![on()],
        Buys::Paused(until) => vec![on(), (words.paused)(&format.time(until))],
        Buys::Stopped(why) => vec![(words.stopped)(why).to_owned()],
    };
    lines.push((words.bought)(&format.cents(bought_this_month_cents), &format.cents(rule.monthly_cap_cents)));
    lines
}

/// What a person recognises the card by. The provider spells brands in lower case.
fn card_line(visit: &Visit<'_>, card: &Card) -> String {
    let Card { id: _, brand, last4, expires_month, expires_year } = card;
    let mut letters = brand.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let brand = first + letters.as_str();
    (visit.words().credits.automatic.card)(&brand, last4, &format!("{expires_month:02}/{expires_year}"))
}

/// The rule in a form, or the fields with what is wrong with them.
fn typed_rule(call: &Call, visit: &Visit<'_>) -> Result<Rule, Box<[Field; 3]>> {
    let (words, format) = (&visit.words().credits, &visit.format);
    let text = |name| call.form().get(name).unwrap_or_default();
    let [threshold, amount, cap] = ["threshold", "amount", "cap"].map(text);
    let allowed = call.app.payments.top_up_bounds;
    let cents =
        read_cents(format.language, amount).ok_or_else(|| words.not_an_amount.to_owned()).and_then(|cents| {
            let bounds =
                (words.out_of_bounds)(&format.cents(allowed.min_cents), &format.cents(allowed.max_cents));
            if allowed.allow(cents) { Ok(cents) } else { Err(bounds) }
        });
    let at_once = cents.as_ref().ok().copied();
    let micros = match read_usd(format.language, threshold) {
        None => Err(words.not_an_amount),
        Some(micros) if micros <= Micros::ZERO => Err(words.automatic.threshold_too_small),
        Some(micros) if at_once.is_some_and(|cents| Micros::from_cents(cents) < micros) => {
            Err(words.automatic.threshold_too_large)
        }
        Some(micros) => Ok(micros),
    };
    let most = match read_cents(format.language, cap) {
        None => Err(words.not_an_amount.to_owned()),
        Some(most) if at_once.is_some_and(|cents| most < cents) => {
            Err(words.automatic.cap_too_small.to_owned())
        }
        Some(most) if most > bounds::MONTHLY_CAP_MAX_CENTS => {
            Err((words.automatic.cap_too_large)(&format.cents(bounds::MONTHLY_CAP_MAX_CENTS)))
        }
        Some(most) => Ok(most),
    };
    match (micros, cents, most) {
        (Ok(threshold), Ok(cents), Ok(monthly_cap_cents)) => Ok(Rule { threshold, cents, monthly_cap_cents }),
        (micros, cents, most) => Err(Box::new([
            Field::default().with_value(threshold).with_error(micros.err().unwrap_or_default()),
            Field::default().with_value(amount).with_error(cents.err().unwrap_or_default()),
            Field::default().with_value(cap).with_error(most.err().unwrap_or_default()),
        ])),
    }
}

/// `POST /portal/credits/auto-top-up`.
async fn set(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().credits;
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let rule = match typed_rule(&call, &visit) {
        Ok(rule) => rule,
        Err(fields) => {
            let sent = Sent { error: words.nothing_was_changed, rule: Some(*fields), ..Sent::default() };
            return show(&call, &visit, status, sent).await;
        }
    };
    match auto_top_up::set(&call, visit.workspace(), rule).await {
        Ok(()) => Ok(see_other(&format!("{PATH}?notice=on"))),
        Err(problem) if problem.code == Code::PaymentMethodRequired => {
            let sent = Sent { error: words.automatic.needs_card, ..Sent::default() };
            show(&call, &visit, status, sent).await
        }
        Err(problem) => Err(problem),
    }
}

/// `POST /portal/credits/auto-top-up/off`.
async fn turn_off(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    auto_top_up::stop(&call, visit.workspace()).await?;
    Ok(see_other(&format!("{PATH}?notice=off")))
}

/// `POST /portal/credits/card`.
async fn save_card(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    match cards::card_page(&call, visit.workspace(), &format!("{}{PATH}", call.origin())).await {
        Ok(url) => leave(&visit, &url),
        Err(problem) => away(&visit, problem, PATH),
    }
}

/// `POST /portal/credits/billing`.
async fn billing_portal(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    match cards::billing_portal(&call, visit.workspace(), &format!("{}{PATH}", call.origin())).await {
        Ok(url) => leave(&visit, &url),
        Err(problem) => away(&visit, problem, PATH),
    }
}

/// `POST /portal/credits/card/remove`. Without `confirmed` it asks once more.
async fn remove_card(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    if call.form().get("confirmed") == Some("yes") {
        return match cards::remove(&call, visit.workspace()).await {
            Ok(()) => Ok(see_other(&format!("{PATH}?notice=card"))),
            Err(problem) => away(&visit, problem, PATH),
        };
    }
    let payments = crate::actions::top_ups::payments(&call, visit.workspace()).await?;
    let Some(card) = &payments.card else { return Ok(see_other(PATH)) };
    let words = &visit.words().credits.automatic;
    let confirm = Confirm {
        frame: visit.frame(Tab::Credits),
        title: words.confirm_remove_card.to_owned(),
        error: "",
        lines: vec![card_line(&visit, card), words.remove_card_text.to_owned()],
        facts: Vec::new(),
        action: "/portal/credits/card/remove",
        fields: Vec::new(),
        button: words.remove_card.to_owned(),
        is_danger: true,
        back: PATH,
        back_text: visit.words().top_up.back,
    };
    Ok(confirm.respond(StatusCode::OK))
}
