//! Plans: what a subscription costs and which credit it brings every month (P4), in versions.
//!
//! A plan that is not in the newest version is retired: nobody can start it any more. A
//! subscription keeps the terms with which it was started, so a new version changes no running one.
//! Until the platform has set plans, three samples stand in their place as version 0. They are no
//! entry of the journal, so that a start of the server decides nothing for the platform. Which
//! plans are allowed is decided in `decide::plans`.

use crate::journal::codec::{Malformed, Reader, Writer, coded};
use crate::journal::disagreement::{Violation, ensure};
use crate::{Micros, PlanId, bounds};

/// How often a plan is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interval {
    /// Every month.
    Month,
    /// Every year; its credit still comes every month.
    Year,
}

coded!(Interval, "a plan's interval", {
    Month = 1 "month",
    Year = 2 "year",
});

impl Interval {
    /// The months of a period.
    #[must_use]
    pub const fn months(self) -> u32 {
        match self {
            Interval::Month => 1,
            Interval::Year => 12,
        }
    }
}

/// The terms of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The id of the plan, chosen by the platform.
    pub id: PlanId,
    /// The name, for people.
    pub name: Box<str>,
    /// What an interval costs, in cents; 0 for a free plan.
    pub price_cents: i64,
    /// The credit of a month, also if the plan is paid by the year.
    pub credits: Micros,
    /// How often the price is paid.
    pub interval: Interval,
}

impl Plan {
    /// What an interval costs, as the credit that a top-up of the same price would bring.
    #[must_use]
    pub fn price(&self) -> Micros {
        assert!(
            (0..=bounds::PLAN_PRICE_MAX_CENTS).contains(&self.price_cents),
            "the price of a plan must be in its range"
        );
        Micros::from_cents(self.price_cents)
    }

    /// True if it costs nothing.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.price_cents == 0
    }

    /// The first term that is out of its bounds, as the API spells it, with the rest of a sentence.
    pub(crate) fn fault(&self) -> Option<(&'static str, &'static str)> {
        let Plan { id: _, name, price_cents, credits, interval: _ } = self;
        if name.trim().is_empty() || name.chars().nth(bounds::PLAN_NAME_MAX_CHARS).is_some() {
            return Some(("name", "must be 1 to 100 characters, not all of them blanks"));
        }
        let paid = bounds::PLAN_PRICE_MIN_CENTS..=bounds::PLAN_PRICE_MAX_CENTS;
        if *price_cents != 0 && !paid.contains(price_cents) {
            return Some(("price_usd", "must be 0.00, or 0.50 to 999999.99"));
        }
        if !(1..=bounds::PLAN_CREDITS_MAX_MICROS).contains(&credits.get()) {
            return Some(("credits", "must be 1 to 9,000,000,000,000 micro-units"));
        }
        None
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.text(self.id.as_str());
        w.text(&self.name);
        w.signed(self.price_cents);
        w.micros(self.credits);
        w.byte(self.interval.code());
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Plan, Malformed> {
        Ok(Plan {
            id: PlanId::known(r.text("a plan")?),
            name: r.text("a plan's name")?.into(),
            price_cents: r.signed("a plan's price")?,
            credits: r.micros("a plan's credits")?,
            interval: Interval::from_code(r.byte("a plan's interval")?)?,
        })
    }
}

/// One version of all plans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanVersion {
    /// The number of the version: 1, 2, 3 …; 0 for the samples.
    pub version: u32,
    /// The plans, sorted by id. A plan that is not among them is retired.
    pub plans: Vec<Plan>,
}

impl PlanVersion {
    /// The plan with this id; `None` if it is unknown or retired.
    #[must_use]
    pub fn find(&self, id: &PlanId) -> Option<&Plan> {
        let index = self.plans.binary_search_by(|plan| plan.id.cmp(id)).ok()?;
        let plan = &self.plans[index];
        assert!(plan.id == *id, "a plan must be found under its own id");
        Some(plan)
    }

    /// True for the samples that stand in until the platform sets plans.
    #[must_use]
    pub const fn is_sample(&self) -> bool {
        self.version == 0
    }

    /// # Errors
    /// [`Violation`] if the plans are not sorted, or one has terms that no plan may have.
    pub(crate) fn check(&self) -> Result<(), Violation> {
        let sorted = self.plans.is_sorted_by(|a, b| a.id < b.id);
        ensure(sorted, "the plans of a version are not sorted, each once")?;
        ensure(self.plans.len() <= bounds::PLANS_MAX, "a version has more plans than it may have")?;
        ensure(self.plans.iter().all(|plan| plan.fault().is_none()), "a plan's terms are out of range")
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        assert!(!self.is_sample(), "the samples must not be written to the journal");
        w.unsigned(u64::from(self.version));
        w.list(&self.plans, |w, plan| plan.write(w));
    }

    pub(crate) fn read(r: &mut Reader) -> Result<PlanVersion, Malformed> {
        const WHAT: &str = "a plan version";
        let version = u32::try_from(r.unsigned(WHAT)?).ok().filter(|version| *version > 0);
        Ok(PlanVersion { version: version.ok_or(Malformed(WHAT))?, plans: r.list("the plans", Plan::read)? })
    }
}

/// The samples: id, name, price in cents. Each brings the credit that a top-up of its price would
/// bring, so that a sale of one costs the platform no more than a top-up.
const SAMPLES: [(&str, &str, i64); 3] =
    [("growth", "Growth", 9_900), ("scale", "Scale", 29_900), ("starter", "Starter", 1_900)];

/// All versions of the plans, oldest first, after the samples.
///
/// ```
/// use tollkeeper_ledger::Plans;
///
/// let plans = Plans::default();
/// // Before the first version the samples stand in.
/// assert!(plans.newest().is_sample());
/// assert_eq!(plans.newest().plans.len(), 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plans {
    /// Version `n` has index `n`; the samples come first.
    versions: Vec<PlanVersion>,
}

impl Default for Plans {
    /// The samples alone.
    fn default() -> Plans {
        let sample = |(id, name, price_cents): (&str, &str, i64)| Plan {
            id: PlanId::known(id),
            name: name.into(),
            price_cents,
            credits: Micros::from_cents(price_cents),
            interval: Interval::Month,
        };
        let samples = PlanVersion { version: 0, plans: SAMPLES.map(sample).into() };
        assert!(samples.check().is_ok(), "the samples must be plans that can be set");
        Plans { versions: vec![samples] }
    }
}

impl Plans {
    /// All versions that were set, oldest first; version `n` has index `n - 1`.
    #[must_use]
    pub fn versions(&self) -> &[PlanVersion] {
        &self.versions[1..]
    }

    /// The version whose plans can be started: the last that was set, or the samples.
    #[must_use]
    pub fn newest(&self) -> &PlanVersion {
        let newest = self.versions.last().expect("the samples are always there");
        assert!(newest.version as usize + 1 == self.versions.len(), "plan versions must have no gaps");
        newest
    }

    /// Adds the next version.
    ///
    /// # Errors
    /// [`Violation`] if it has another number than the next one, or plans that cannot be set.
    pub(crate) fn add(&mut self, version: PlanVersion) -> Result<(), Violation> {
        let next = self.versions.len();
        ensure(version.version as usize == next, "a plan version is not numbered by the one before it")?;
        version.check()?;
        self.versions.push(version);
        assert!(!self.newest().is_sample(), "plans that were set must replace the samples");
        Ok(())
    }
}
