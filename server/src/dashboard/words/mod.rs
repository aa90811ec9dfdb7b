//! All texts of the dashboard, in each language. A page names a text by its field; a sentence with a
//! value in it is a function, so that each language orders its words itself.
//!
//! A text that a language lacks does not compile. How values are written is in `language`.

mod charges;
mod chart;
mod credits;
mod frame;
mod overview;
mod plan;
mod top_up;
mod usage;

pub use self::charges::ChargeWords;
pub use self::credits::{AutomaticWords, CreditsWords, HistoryWords};
pub use self::frame::FrameWords;
pub use self::overview::OverviewWords;
pub use self::plan::PlanWords;
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
    /// The page about credits.
    pub credits: CreditsWords,
    /// The page about one top-up.
    pub top_up: TopUpWords,
    /// The page about the plan.
    pub plan: PlanWords,
}

const ENGLISH: Words = Words {
    frame: frame::ENGLISH,
    overview: overview::ENGLISH,
    chart: chart::ENGLISH,
    usage: usage::ENGLISH,
    charges: charges::ENGLISH,
    credits: credits::ENGLISH,
    top_up: top_up::ENGLISH,
    plan: plan::ENGLISH,
};

const GERMAN: Words = Words {
    frame: frame::GERMAN,
    overview: overview::GERMAN,
    chart: chart::GERMAN,
    usage: usage::GERMAN,
    charges: charges::GERMAN,
    credits: credits::GERMAN,
    top_up: top_up::GERMAN,
    plan: plan::GERMAN,
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
