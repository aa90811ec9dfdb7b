//! All texts of the dashboard, in each language. A page names a text by its field; a sentence with
//! a value in it is a function, so that each language orders its words itself.
//!
//! A text that a language lacks does not compile. How values are written is in `language`.

mod activity;
mod alerts;
mod api_keys;
mod charges;
mod chart;
mod console;
mod credits;
mod frame;
mod limits;
mod overview;
mod plan;
mod refusals;
mod team;
mod top_up;
mod usage;

pub use self::activity::ActivityWords;
pub use self::alerts::AlertsWords;
pub use self::api_keys::ApiKeysWords;
pub use self::charges::ChargeWords;
pub use self::console::ConsoleWords;
pub use self::credits::CreditsWords;
pub use self::frame::FrameWords;
pub use self::limits::LimitsWords;
pub use self::overview::OverviewWords;
pub use self::plan::PlanWords;
pub use self::refusals::RefusalWords;
pub use self::team::TeamWords;
pub use self::top_up::TopUpWords;
pub use self::usage::UsageWords;
use crate::dashboard::chart::ChartWords;
use crate::language::Language;

/// The texts of all pages in a language.
#[derive(Debug)]
pub struct Words {
    /// What every page shows, and the small pages.
    pub frame: FrameWords,
    /// The first page.
    pub overview: OverviewWords,
    /// Charts.
    pub chart: ChartWords,
    /// The page of use.
    pub usage: UsageWords,
    /// The pages of charges.
    pub charges: ChargeWords,
    /// Warnings, and who gets them.
    pub alerts: AlertsWords,
    /// Spending limits.
    pub limits: LimitsWords,
    /// Members.
    pub team: TeamWords,
    /// API keys.
    pub api_keys: ApiKeysWords,
    /// The journal.
    pub activity: ActivityWords,
    /// The page about credits.
    pub credits: CreditsWords,
    /// The page about one top-up.
    pub top_up: TopUpWords,
    /// The page about the plan.
    pub plan: PlanWords,
    /// The console of the platform's operators.
    pub console: ConsoleWords,
    /// Why something was not done.
    pub refusals: RefusalWords,
}

const ENGLISH: Words = Words {
    frame: frame::ENGLISH,
    overview: overview::ENGLISH,
    chart: chart::ENGLISH,
    usage: usage::ENGLISH,
    charges: charges::ENGLISH,
    alerts: alerts::ENGLISH,
    limits: limits::ENGLISH,
    team: team::ENGLISH,
    api_keys: api_keys::ENGLISH,
    activity: activity::ENGLISH,
    credits: credits::ENGLISH,
    top_up: top_up::ENGLISH,
    plan: plan::ENGLISH,
    console: console::ENGLISH,
    refusals: refusals::ENGLISH,
};

const GERMAN: Words = Words {
    frame: frame::GERMAN,
    overview: overview::GERMAN,
    chart: chart::GERMAN,
    usage: usage::GERMAN,
    charges: charges::GERMAN,
    alerts: alerts::GERMAN,
    limits: limits::GERMAN,
    team: team::GERMAN,
    api_keys: api_keys::GERMAN,
    activity: activity::GERMAN,
    credits: credits::GERMAN,
    top_up: top_up::GERMAN,
    plan: plan::GERMAN,
    console: console::GERMAN,
    refusals: refusals::GERMAN,
};

impl Language {
    /// The texts in this language.
    #[must_use]
    pub fn words(self) -> &'static Words {
        match self {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
        }
    }
}

/// A list in a sentence: `Ada`, `Ada or Lin`, `Ada, Lin or Bo`.
pub fn one_of(names: &[String], or: &str) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {or} {last}", first.join(", ")),
    }
}
