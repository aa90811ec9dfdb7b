//! The thresholds of the page about warnings: how they are shown, and the form that sets them.

use axum::http::StatusCode;
use axum::response::Response;
use tollkeeper_ledger::{AlertLine, Alerts, Micros, Threshold, Timestamp, bounds};

use super::{Entered, PATH, show};
use crate::actions::alerts::{self, COOLDOWN_MAX_HOURS};
use crate::dashboard::amounts::{read_usd, typed_usd};
use crate::dashboard::fields::{Field, Notice};
use crate::dashboard::frame::Visit;
use crate::dashboard::page::see_other;
use crate::dashboard::seen;
use crate::dashboard::words::AlertsWords;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::language::Format;
use crate::reports::burn_rate::BurnRateQuery;

/// The days of use that a first threshold is suggested for.
const SUGGESTED_DAYS: i64 = 7;

/// The micro-units of a cent.
const MICROS_PER_CENT: i64 = Micros::from_cents(1).get();

/// A threshold as it is shown.
pub(super) struct ThresholdRow {
    pub(super) what: String,
    pub(super) state: &'static str,
    pub(super) is_low: bool,
    pub(super) last: String,
}

impl ThresholdRow {
    pub(super) fn of(visit: &Visit<'_>, threshold: &Threshold) -> ThresholdRow {
        let (words, format) = (&visit.words().alerts, &visit.format);
        let Threshold { line, amount: _, fired_at, is_low } = *threshold;
        ThresholdRow {
            what: match line {
                AlertLine::Amount(amount) => (words.below)(&format.usd(amount)),
                AlertLine::RunwayDays(days) => (words.days_left)(&days.to_string()),
            },
            state: if is_low { words.state_low } else { words.state_armed },
            is_low,
            last: if fired_at == Timestamp::ZERO { words.never.to_owned() } else { format.time(fired_at) },
        }
    }
}

/// The fields of the form: one for each threshold, and one more of each sort.
pub(super) struct ThresholdForm {
    pub(super) amounts: Vec<Field>,
    pub(super) days: Vec<Field>,
    pub(super) cooldown: Field,
}

impl ThresholdForm {
    /// The form with the present thresholds. Without any, seven days of the present use are
    /// suggested.
    ///
    /// # Errors
    /// The engine cannot read.
    pub(super) async fn of(
        call: &Call,
        visit: &Visit<'_>,
        alerts: &Alerts,
    ) -> Result<ThresholdForm, Problem> {
        let (words, format) = (&visit.words().alerts, &visit.format);
        let mut form = ThresholdForm {
            amounts: Vec::new(),
            days: Vec::new(),
            cooldown: cooldown_field(words, &alerts::cooldown_hours(alerts).to_string()),
        };
        for threshold in &alerts.thresholds {
            match threshold.line {
                AlertLine::Amount(amount) => form.push_amount(words, &typed_usd(format, amount)),
                AlertLine::RunwayDays(days) => form.push_days(words, &days.to_string()),
            }
        }
        form.push_blanks(words);
        if alerts.thresholds.is_empty() {
            form.suggest(call, visit).await?;
        }
        Ok(form)
    }

    /// Suggests what is used in seven days, in whole cents.
    async fn suggest(&mut self, call: &Call, visit: &Visit<'_>) -> Result<(), Problem> {
        let (words, format) = (&visit.words().alerts, &visit.format);
        let burn = BurnRateQuery::default().run(&visit.usage(), call.now).await?;
        let used = burn.daily_average().get().saturating_mul(SUGGESTED_DAYS);
        if let (1.., Some(field)) = (used, self.amounts.first_mut()) {
            let cents = used / MICROS_PER_CENT + i64::from(used % MICROS_PER_CENT > 0);
            let amount = Micros::new(cents.saturating_mul(MICROS_PER_CENT));
            field.value = typed_usd(format, amount);
            field.hint = (words.amount_suggested)(&format.usd(amount));
        }
        Ok(())
    }

    fn push_amount(&mut self, words: &AlertsWords, value: &str) {
        let number = self.amounts.len() + 1;
        let field = Field::new("amount", "text", (words.amount)(number)).with_value(value);
        self.amounts.push(field.with_id(format!("amount-{number}")));
    }

    fn push_days(&mut self, words: &AlertsWords, value: &str) {
        let number = self.days.len() + 1;
        let field = Field::new("days", "text", (words.days_field)(number)).with_value(value);
        self.days.push(field.with_id(format!("days-{number}")));
    }

    /// One more field of each sort, with a hint, if there is room for more.
    fn push_blanks(&mut self, words: &AlertsWords) {
        if self.amounts.len() + self.days.len() < bounds::THRESHOLDS_MAX {
            self.push_amount(words, "");
            self.push_days(words, "");
        }
        if let Some(last) = self.amounts.last_mut() {
            words.amount_hint.clone_into(&mut last.hint);
        }
        if let Some(last) = self.days.last_mut() {
            words.days_hint.clone_into(&mut last.hint);
        }
    }

    /// Reads what was entered; the form has what is wrong with it.
    fn read(call: &Call, words: &AlertsWords, format: &Format) -> (ThresholdForm, Vec<AlertLine>, i64) {
        let (mut lines, sent) = (Vec::new(), call.form());
        let hours = sent.get("cooldown").unwrap_or_default();
        let mut form =
            ThresholdForm { amounts: Vec::new(), days: Vec::new(), cooldown: cooldown_field(words, hours) };
        for text in sent.all("amount").take(bounds::THRESHOLDS_MAX + 1) {
            form.push_amount(words, text);
            let amount = read_usd(format.language, text);
            match amount.filter(|amount| *amount > Micros::ZERO) {
                Some(amount) => lines.push(AlertLine::Amount(amount)),
                None => fail(form.amounts.last_mut(), words.amount_wrong),
            }
        }
        for text in sent.all("days").take(bounds::THRESHOLDS_MAX + 1) {
            form.push_days(words, text);
            match text.parse().ok().filter(|days| (1..=bounds::RUNWAY_DAYS_MAX).contains(days)) {
                Some(days) => lines.push(AlertLine::RunwayDays(days)),
                None => fail(form.days.last_mut(), words.days_wrong),
            }
        }
        let hours = hours.parse().ok().filter(|hours| (0..=COOLDOWN_MAX_HOURS).contains(hours));
        if hours.is_none() {
            fail(Some(&mut form.cooldown), words.cooldown_wrong);
        }
        form.push_blanks(words);
        (form, lines, hours.unwrap_or_default())
    }

    /// The first thing that is wrong.
    fn first_error(&self) -> Option<&str> {
        let fields = self.amounts.iter().chain(&self.days).chain([&self.cooldown]);
        fields.map(|field| field.error.as_str()).find(|error| !error.is_empty())
    }
}

fn cooldown_field(words: &AlertsWords, hours: &str) -> Field {
    Field::new("cooldown", "text", words.cooldown).with_value(hours).with_hint(words.cooldown_hint)
}

fn fail(field: Option<&mut Field>, error: &str) {
    if let Some(field) = field {
        error.clone_into(&mut field.error);
    }
}

/// `POST /portal/alerts/thresholds`.
pub(super) async fn set(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().alerts;
    let (form, lines, hours) = ThresholdForm::read(&call, words, &visit.format);
    let present = alerts::read(&call, visit.workspace()).await?;
    if !seen::is_current(call.form().get(seen::FIELD), &[seen::of_alerts(&present)]) {
        let notice = Some(Notice::error(words.changed_meanwhile));
        let entered = Entered { form: Some(form), notice, ..Entered::default() };
        return show(&call, &visit, StatusCode::CONFLICT, entered).await;
    }
    let wrong = form.first_error().map(str::to_owned);
    let wrong = wrong.or_else(|| (lines.len() > bounds::THRESHOLDS_MAX).then(|| words.too_many.to_owned()));
    let notice = match wrong {
        Some(wrong) => Notice::error(wrong),
        None => match alerts::set(&call, visit.workspace(), lines, Some(hours)).await {
            Ok(()) => return Ok(see_other(&format!("{PATH}?done=thresholds"))),
            Err(problem) => Notice::of_form(problem, visit.words())?,
        },
    };
    let entered = Entered { form: Some(form), notice: Some(notice), ..Entered::default() };
    show(&call, &visit, StatusCode::UNPROCESSABLE_ENTITY, entered).await
}
