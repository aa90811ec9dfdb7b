//! Words and figures of each mail, from its facts and its context.
//!
//! The subject names the event and the workspace, and no amount unless the settings say so, because
//! a subject is read over shoulders and on locked screens. The body has every amount in both units,
//! the day on which the credit is used up, who uses the most, the next grant, and one button.

use tollkeeper_ledger::Micros;

use super::about::{About, Line};
use super::context::{Burn, Context, WhyYou, WorkspaceFacts};
use super::letter::one_line;
use super::page::{Link, Page};
use super::words::{address_fault, and, counted, endpoint_fault, failure, line, period, stop, subject, time};
use crate::language::{Format, Language};
use crate::reports::local_time::zone;

/// The most characters of a name that a mail shows.
const NAME_MAX_CHARS: usize = 100;

/// The most operations that are named as those which use the most.
const TOP_MAX: usize = 3;

/// The most thresholds that are named beside the first.
const OTHER_LINES_MAX: usize = 10;

/// A mail without its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same content in HTML.
    pub html: String,
}

/// The mail about an event. The same arguments give the same mail.
#[must_use]
pub fn compose(about: &About, context: &Context) -> Composed {
    let name = context.workspace.as_ref().map(|workspace| name_of(&workspace.name, workspace.id.as_str()));
    let place = name.as_deref().unwrap_or("the platform");
    let zone = zone(context.workspace.as_ref().map_or("UTC", |workspace| &*workspace.timezone));
    let format = &Format { language: Language::English, zone };
    let (title, paragraphs) = event(about, place, format);
    let shows_credit = shows_credit(about);
    let workspace = context.workspace.as_ref().filter(|_| shows_credit);
    let page = Page {
        about: name.clone().unwrap_or_else(|| "Platform".to_owned()),
        title: title.to_owned(),
        severity: about.severity(),
        paragraphs,
        figures: workspace.map(|facts| figures(facts, format)).unwrap_or_default(),
        top: workspace
            .and_then(|workspace| workspace.burn.as_ref())
            .map(|burn| top(burn, format))
            .unwrap_or_default(),
        button: button(about, context),
        why: why(context.why_you, name.as_deref()),
        links: links(context),
    };
    let amount = in_subject(about, format).filter(|_| context.amount_in_subject);
    let subject = match amount {
        Some(amount) => format!("{title} ({amount}): {place}"),
        None => format!("{title}: {place}"),
    };
    Composed { subject: one_line(&subject), text: page.text(), html: page.html() }
}

/// The name of a workspace on one line; its id if nothing is left of it.
fn name_of(name: &str, id: &str) -> String {
    let line = one_line(name);
    if line.is_empty() {
        return id.to_owned();
    }
    let short: String = line.chars().take(NAME_MAX_CHARS).collect();
    if short.len() < line.len() { format!("{short}…") } else { line }
}

/// The amount that a subject may have.
fn in_subject(about: &About, format: &Format) -> Option<String> {
    match about {
        About::Low { available, .. } if *available > Micros::ZERO => {
            Some(format!("{} left", format.usd(*available)))
        }
        About::Recovered { available, .. } => Some(format!("{} available", format.usd(*available))),
        About::Refused { required, available, .. } => {
            Some(format!("{} missing", format.usd(*required - *available)))
        }
        About::Limit { amount, .. } => Some(format.usd(*amount)),
        About::TopUpSucceeded { cents: paid, .. }
        | About::TopUpFailed { cents: paid, .. }
        | About::TopUpRefunded { cents: paid }
        | About::Dispute { cents: paid, .. } => Some(format.cents(*paid)),
        About::SubscriptionRenewed { credits, .. } => Some(format.usd(*credits)),
        About::Debt { owed } => Some(format.usd(*owed)),
        _ => None,
    }
}

/// The title and what happened.
fn event(about: &About, place: &str, format: &Format) -> (&'static str, Vec<String>) {
    match about {
        About::Low { .. } | About::Recovered { .. } | About::Refused { .. } | About::Limit { .. } => {
            of_balance(about, place, format)
        }
        About::TopUpSucceeded { .. }
        | About::TopUpFailed { .. }
        | About::TopUpRefunded { .. }
        | About::AutoTopUpPaused { .. }
        | About::AutoTopUpStopped { .. }
        | About::Dispute { .. }
        | About::Debt { .. } => of_payments(about, place, format),
        About::SubscriptionRenewed { plan, credits } => (
            "Credit of your plan was added",
            vec![format!(
                "A new month of the plan {} has begun. It brought {}.",
                one_line(plan),
                format.both_units(*credits)
            )],
        ),
        About::SubscriptionPastDue { plan } => (
            "A subscription payment is due",
            vec![
                format!("A new period of the plan {} has begun, and it is not paid yet.", one_line(plan)),
                "Its credit is added with the payment. Credit that is left can be used meanwhile.".to_owned(),
            ],
        ),
        About::SubscriptionEnded { plan } => (
            "The subscription has ended",
            vec![
                format!("The plan {} of {place} has ended and brings no further credit.", one_line(plan)),
                "Credit that is left stays available. It never expires.".to_owned(),
            ],
        ),
        About::ConfirmAddress { .. }
        | About::AddressRefused { .. }
        | About::EndpointDisabled { .. }
        | About::EndpointFailing { .. }
        | About::Test => of_delivery(about, place, format),
    }
}

/// What happened to the balance.
fn of_balance(about: &About, place: &str, format: &Format) -> (&'static str, Vec<String>) {
    match about {
        About::Low { available, .. } if *available <= Micros::ZERO => (
            "Credit is used up",
            vec![format!(
                "{place} has no credit left. Operations are refused until credit is added. \
                 None of them runs without being paid, so no debt arises."
            )],
        ),
        About::Low { lines, available } => ("Credit is low", low(lines, *available, place, format)),
        About::Recovered { lines, .. } => {
            let lines: Vec<String> =
                lines.iter().take(OTHER_LINES_MAX).map(|one| line(format, one)).collect();
            let what = if lines.is_empty() { "its alert line".to_owned() } else { and(&lines) };
            ("Credit has recovered", vec![format!("The available credit of {place} is above {what} again.")])
        }
        About::Refused { operation, required, available, refusals } => {
            let first = match refusals {
                0 | 1 => "An operation was refused because the credit did not cover it.".to_owned(),
                _ => format!(
                    "{} were refused because the credit did not cover them.",
                    counted(format, *refusals, "operation")
                ),
            };
            let which = if *refusals > 1 { "The last one" } else { "It" };
            let prices = format!(
                "{which} was {}. It needed {}, and {} was available.",
                one_line(operation),
                format.both_units(*required),
                format.both_units(*available)
            );
            ("Operations are refused", vec![format!("{first} {prices}")])
        }
        About::Limit { subject: whose, period: per, amount, resets_at } => (
            "A spending limit was reached",
            vec![format!(
                "The {} limit of {} for {} has refused a charge. It counts from zero again on {}.",
                period(*per),
                format.both_units(*amount),
                subject(whose),
                time(format, *resets_at)
            )],
        ),
        _ => unreachable!("`event` hands over what is about the balance"),
    }
}

fn low(lines: &[Line], available: Micros, place: &str, format: &Format) -> Vec<String> {
    let below = lines.first().map_or_else(|| "its alert line".to_owned(), |first| line(format, first));
    let mut paragraphs = vec![format!(
        "The available credit of {place} fell below {below}. It was {} then.",
        format.both_units(available)
    )];
    let others: Vec<String> =
        lines.iter().skip(1).take(OTHER_LINES_MAX).map(|one| line(format, one)).collect();
    if !others.is_empty() {
        paragraphs.push(format!("It fell below {} at the same time.", and(&others)));
    }
    paragraphs.push("When it is used up, operations are refused until credit is added.".to_owned());
    paragraphs
}

/// What happened to payments.
fn of_payments(about: &About, place: &str, format: &Format) -> (&'static str, Vec<String>) {
    let top_up = |is_automatic: bool| if is_automatic { "automatic top-up" } else { "top-up" };
    match about {
        About::TopUpSucceeded { cents: paid, credits, is_automatic } => {
            let begin = if *is_automatic { "An automatic" } else { "A" };
            let text = format!(
                "{begin} top-up of {} was paid. It added {} to {place}.",
                format.cents(*paid),
                format.both_units(*credits)
            );
            ("Credit was added", vec![text])
        }
        About::TopUpFailed { cents: paid, failure: why, is_automatic } => {
            let article = if *is_automatic { "An" } else { "A" };
            let text = format!(
                "{article} {} of {} was not paid. {}",
                top_up(*is_automatic),
                format.cents(*paid),
                failure(*why)
            );
            ("A payment failed", vec![text])
        }
        About::TopUpRefunded { cents: back } => (
            "A payment was sent back",
            vec![format!(
                "{} of a top-up of {place} went back to the payer. Its credit was taken back.",
                format.cents(*back)
            )],
        ),
        About::AutoTopUpPaused { until } => (
            "Automatic top-ups are paused",
            vec![format!(
                "The last automatic top-up of {place} failed. The next one is tried after {}.",
                time(format, *until)
            )],
        ),
        About::AutoTopUpStopped { why } => (
            "Automatic top-ups are off",
            vec![
                format!("No credit is bought automatically for {place} any longer. {}", stop(*why)),
                "When the credit is used up, operations are refused until credit is added.".to_owned(),
            ],
        ),
        About::Dispute { cents: lost, is_disputed } => {
            let what = if *is_disputed { "is disputed" } else { "was sent back by the payment provider" };
            let text = format!(
                "A payment of {place} {what}: {}. The credit that it brought is taken back.",
                format.cents(*lost)
            );
            let title = if *is_disputed { "A payment is disputed" } else { "A payment was taken back" };
            (title, vec![text])
        }
        About::Debt { owed } => (
            "Credit is owed",
            vec![format!(
                "More credit of {place} was taken back than was left. It owes {}. \
                 Operations are refused until that is paid. Credit that is added pays it first.",
                format.both_units(*owed)
            )],
        ),
        _ => unreachable!("`event` hands over what is about payments"),
    }
}

/// What happened to mails and webhooks.
fn of_delivery(about: &About, place: &str, format: &Format) -> (&'static str, Vec<String>) {
    match about {
        About::ConfirmAddress { .. } => (
            "Confirm this address",
            vec![
                format!("An admin of {place} wants to send mails about its credit to this address."),
                "If you agree, confirm it. Until then, no other mail comes here.".to_owned(),
            ],
        ),
        About::AddressRefused { address, how } => (
            "A recipient cannot be reached",
            vec![
                format!(
                    "Mails about {place} cannot be sent to {}. {}",
                    one_line(address),
                    address_fault(*how)
                ),
                "No further mail is sent there until an admin enters the address again.".to_owned(),
            ],
        ),
        About::EndpointDisabled { url, fault } => (
            "A webhook endpoint was disabled",
            vec![
                format!(
                    "The webhook endpoint {} gets no more messages. {}",
                    one_line(url),
                    endpoint_fault(*fault)
                ),
                "Enable it again when it is repaired. It can go on from where it stopped.".to_owned(),
            ],
        ),
        About::EndpointFailing { url, hours, last_outcome } => (
            "A webhook endpoint is failing",
            vec![
                format!(
                    "The webhook endpoint {} has accepted no message for {}. The last attempt: {}.",
                    one_line(url),
                    counted(format, (*hours).into(), "hour"),
                    one_line(last_outcome)
                ),
                "It is tried again, and nothing is lost. After five days it is disabled.".to_owned(),
            ],
        ),
        About::Test => (
            "This is a test",
            vec![format!("Mails about {place} arrive at this address. Nothing has happened.")],
        ),
        _ => unreachable!("`event` hands over what is about mails and webhooks"),
    }
}

/// True if a mail shows the credit of the workspace. An address that was not confirmed yet must not
/// see it.
const fn shows_credit(about: &About) -> bool {
    !matches!(
        about,
        About::ConfirmAddress { .. }
            | About::AddressRefused { .. }
            | About::EndpointDisabled { .. }
            | About::EndpointFailing { .. }
    )
}

/// The figures of the workspace, as they are when the mail is composed.
fn figures(workspace: &WorkspaceFacts, format: &Format) -> Vec<(String, String)> {
    let WorkspaceFacts { balance, burn, next_grant_on, .. } = workspace;
    let mut figures = vec![("Available now", format.both_units(balance.available))];
    if balance.pending > Micros::ZERO {
        figures.push(("In pending operations", format.both_units(balance.pending)));
    }
    if balance.debt > Micros::ZERO {
        figures.push(("Owed", format.both_units(balance.debt)));
    }
    if let Some(Burn { daily_average, runway_days, depletes_on, top: _ }) = burn {
        if *daily_average > Micros::ZERO {
            figures.push(("Used a day", format.both_units(*daily_average)));
        }
        if let Some(date) = depletes_on {
            let days = runway_days.map(|days| match days {
                0 => " (today)".to_owned(),
                days => format!(" (in {})", counted(format, days.into(), "day")),
            });
            figures.push(("Used up on", format!("{}{}", format.date(*date), days.unwrap_or_default())));
        }
    }
    if let Some(date) = next_grant_on {
        figures.push(("Next credit of the plan", format.date(*date)));
    }
    figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect()
}

/// The operations that use the most.
fn top(burn: &Burn, format: &Format) -> Vec<(String, String)> {
    let used = burn.top.iter().filter(|(_, daily)| *daily > Micros::ZERO).take(TOP_MAX);
    used.map(|(operation, daily)| (one_line(operation), format!("{} a day", format.usd(*daily)))).collect()
}

/// The one thing to do.
fn button(about: &About, context: &Context) -> Option<Link> {
    let link = |words: &str, url: &str| Link { words: words.to_owned(), url: url.to_owned() };
    let manage = || manage_url(context).map(|url| link("Open billing", url));
    match about {
        About::ConfirmAddress { confirm_url } => Some(link("Confirm this address", confirm_url)),
        About::Low { .. }
        | About::Refused { .. }
        | About::TopUpFailed { .. }
        | About::Debt { .. }
        | About::AutoTopUpPaused { .. }
        | About::AutoTopUpStopped { .. }
        | About::SubscriptionEnded { .. } => {
            let add = context.workspace.as_ref().and_then(|workspace| workspace.add_credits_url.as_deref());
            add.map(|url| link("Add credits", url)).or_else(manage)
        }
        _ => manage(),
    }
}

/// Why the mail came, as a sentence.
fn why(why: WhyYou, name: Option<&str>) -> String {
    let place = name.unwrap_or("the platform");
    match why {
        WhyYou::Admin => format!("You get this mail because you are an admin of {place}."),
        WhyYou::ChosenMember => {
            format!("You get this mail because an admin chose you for mails about {place}.")
        }
        WhyYou::ChosenAddress => {
            format!(
                "You get this mail because this address was entered and confirmed for mails about {place}."
            )
        }
        WhyYou::Unconfirmed => {
            format!(
                "You get this mail because this address was entered for mails about {place}. \
                     If you do not know why, ignore it: without your confirmation nothing more is sent."
            )
        }
        WhyYou::Tester => "You get this mail because somebody tries the settings of the server.".to_owned(),
        WhyYou::Platform => {
            "You get this mail because the settings of the server name this address.".to_owned()
        }
    }
}

/// What can be done about mails.
fn links(context: &Context) -> Vec<Link> {
    let link = |words: &str, url: &str| Link { words: words.to_owned(), url: url.to_owned() };
    let manage = manage_url(context).map(|url| link("Choose what is mailed to whom", url));
    let stop = context.unsubscribe_url.as_deref();
    let stop = stop.map(|url| link("Stop mails of this kind to this address", url));
    manage.into_iter().chain(stop).collect()
}

/// The page of the dashboard, for those who can sign in there.
fn manage_url(context: &Context) -> Option<&str> {
    match context.why_you {
        WhyYou::Admin | WhyYou::ChosenMember | WhyYou::Platform => context.manage_url.as_deref(),
        WhyYou::ChosenAddress | WhyYou::Unconfirmed | WhyYou::Tester => None,
    }
}
