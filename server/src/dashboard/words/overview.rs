//! The texts of the first page.

/// The texts of the first page.
#[derive(Debug)]
pub struct OverviewWords {
    pub balance: &'static str,
    pub pending: &'static str,
    pub debt: &'static str,
}

pub(super) const ENGLISH: OverviewWords =
    OverviewWords { balance: "Balance", pending: "In pending operations", debt: "Owed" };

pub(super) const GERMAN: OverviewWords =
    OverviewWords { balance: "Guthaben", pending: "In laufenden Vorgängen", debt: "Offene Schuld" };
