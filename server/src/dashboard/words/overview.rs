//! The texts of the first page.

/// The texts of the first page.
#[derive(Debug)]
pub struct OverviewWords {
    pub balance: &'static str,
    pub pending: &'static str,
    pub debt: &'static str,
    pub add_credits: &'static str,
    pub warn_me: &'static str,
    pub see_plans: &'static str,
    pub never_expire: &'static str,
    pub lasts: &'static str,
    /// "12 days": how long the credit lasts.
    pub days: fn(&str, bool) -> String,
    /// "Runs out on 12 December 2026"; the date.
    pub runs_out: fn(&str) -> String,
    pub used_up: &'static str,
    pub no_recent_use: &'static str,
    pub over_a_year: &'static str,
    pub credit_grows: &'static str,
    pub used_a_day: &'static str,
    pub used_a_month: &'static str,
    /// "The plan adds credit on 1 December 2026, before that"; the date.
    pub plan_in_time: fn(&str) -> String,
    /// "The plan adds credit on 1 December 2026, after that"; the date.
    pub plan_too_late: fn(&str) -> String,
    pub used_most_by: &'static str,
    pub a_day: fn(&str) -> String,
    pub use_of_30_days: &'static str,
    pub changed: &'static str,
    pub changed_caption: &'static str,
    pub operation: &'static str,
    pub week_before: &'static str,
    pub this_week: &'static str,
    pub difference: &'static str,
    pub last_charges: &'static str,
    pub no_charges: &'static str,
    pub all_charges: &'static str,
    pub plan: &'static str,
    pub no_plan: &'static str,
    /// "Growth: $40.00 of credit a month"; the name and the credit.
    pub plan_brings: fn(&str, &str) -> String,
    /// "Next credit on 1 December 2026"; the date.
    pub next_credit: fn(&str) -> String,
    pub suspended: &'static str,
    pub suspended_text: &'static str,
    pub in_debt: &'static str,
    /// What is owed.
    pub in_debt_text: fn(&str) -> String,
    pub empty: &'static str,
    pub empty_text: &'static str,
    pub refused_today: &'static str,
    /// The time of the last refusal that was noted.
    pub refused_today_text: fn(&str) -> String,
    pub payment_failed: &'static str,
    /// The amount that was not paid.
    pub payment_failed_text: fn(&str) -> String,
    pub past_due: &'static str,
    pub past_due_text: &'static str,
    pub welcome: &'static str,
    pub welcome_text: &'static str,
    pub step_credits: &'static str,
    pub step_key: &'static str,
    pub step_charge: &'static str,
}

pub(super) const ENGLISH: OverviewWords = OverviewWords {
    balance: "Balance",
    pending: "In pending operations",
    debt: "Owed",
    add_credits: "Add credits",
    warn_me: "Warn me before they run out",
    see_plans: "See plans",
    never_expire: "Credits never expire.",
    lasts: "How long it lasts",
    days: |days, is_one| if is_one { format!("{days} day") } else { format!("{days} days") },
    runs_out: |date| format!("Runs out on {date} if use goes on like this."),
    used_up: "The credit is used up.",
    no_recent_use: "No complete day with use lately, so there is no forecast.",
    over_a_year: "It lasts for more than a year at the present use.",
    credit_grows: "More was refunded than charged lately, so there is no forecast.",
    used_a_day: "Used a day, on average",
    used_a_month: "Used a month, on average",
    plan_in_time: |date| format!("Your plan adds credit on {date}, before that."),
    plan_too_late: |date| format!("Your plan adds credit on {date}, after that."),
    used_most_by: "Used most by",
    a_day: |amount| format!("{amount} a day"),
    use_of_30_days: "Use of 30 days",
    changed: "What changed",
    changed_caption: "Use of the last 7 days and of the 7 days before",
    operation: "Operation",
    week_before: "Before",
    this_week: "Now",
    difference: "Change",
    last_charges: "Last charges",
    no_charges: "Nothing was charged yet.",
    all_charges: "All charges",
    plan: "Plan",
    no_plan: "No plan. Credits are added by top-ups.",
    plan_brings: |name, credit| format!("{name}: {credit} of credit a month"),
    next_credit: |date| format!("Next credit on {date}"),
    suspended: "This workspace is suspended",
    suspended_text: "Operations are refused until the platform ends that. The credit stays.",
    in_debt: "Credit is owed",
    in_debt_text: |owed| {
        format!(
            "A payment was taken back after its credit was used. {owed} are owed. Operations are refused until \
                 that is paid; credit that is added pays it first."
        )
    },
    empty: "The credit is used up",
    empty_text: "Operations do not run until credit is added.",
    refused_today: "Operations were refused today",
    refused_today_text: |time| {
        format!("The credit did not cover an operation at {time}. It did not run and cost nothing.")
    },
    payment_failed: "A payment failed",
    payment_failed_text: |amount| {
        format!("{amount} were not paid. No credit was added and no money was taken.")
    },
    past_due: "A payment of your plan is due",
    past_due_text: "The next credit of the plan is added once it is paid.",
    welcome: "Welcome",
    welcome_text: "Credits pay each operation before it runs. What cannot be paid does not run, and what fails by a \
                   fault of the system is refunded automatically.",
    step_credits: "Add credits",
    step_key: "Make an API key",
    step_charge: "Charge the first operation",
};

pub(super) const GERMAN: OverviewWords = OverviewWords {
    balance: "Guthaben",
    pending: "In laufenden Vorgängen",
    debt: "Offene Schuld",
    add_credits: "Guthaben aufladen",
    warn_me: "Rechtzeitig warnen",
    see_plans: "Tarife ansehen",
    never_expire: "Guthaben verfällt nie.",
    lasts: "Wie lange es reicht",
    days: |days, is_one| if is_one { format!("{days} Tag") } else { format!("{days} Tage") },
    runs_out: |date| format!("Bei diesem Verbrauch am {date} aufgebraucht."),
    used_up: "Das Guthaben ist aufgebraucht.",
    no_recent_use: "Zuletzt gab es keinen ganzen Tag mit Verbrauch, daher keine Vorhersage.",
    over_a_year: "Es reicht beim jetzigen Verbrauch länger als ein Jahr.",
    credit_grows: "Zuletzt wurde mehr erstattet als abgebucht, daher gibt es keine Vorhersage.",
    used_a_day: "Verbrauch am Tag, im Mittel",
    used_a_month: "Verbrauch im Monat, im Mittel",
    plan_in_time: |date| format!("Der Tarif bringt Guthaben am {date}, also vorher."),
    plan_too_late: |date| format!("Der Tarif bringt Guthaben am {date}, also erst danach."),
    used_most_by: "Am meisten verbraucht",
    a_day: |amount| format!("{amount} am Tag"),
    use_of_30_days: "Verbrauch von 30 Tagen",
    changed: "Was sich geändert hat",
    changed_caption: "Verbrauch der letzten 7 Tage und der 7 Tage davor",
    operation: "Vorgang",
    week_before: "Davor",
    this_week: "Jetzt",
    difference: "Änderung",
    last_charges: "Letzte Buchungen",
    no_charges: "Es wurde noch nichts abgebucht.",
    all_charges: "Alle Buchungen",
    plan: "Tarif",
    no_plan: "Kein Tarif. Guthaben wird einzeln aufgeladen.",
    plan_brings: |name, credit| format!("{name}: {credit} Guthaben im Monat"),
    next_credit: |date| format!("Nächstes Guthaben am {date}"),
    suspended: "Dieser Arbeitsbereich ist gesperrt",
    suspended_text: "Vorgänge werden abgelehnt, bis die Plattform das beendet. Das Guthaben bleibt.",
    in_debt: "Es ist Guthaben geschuldet",
    in_debt_text: |owed| {
        format!(
            "Eine Zahlung wurde zurückgenommen, nachdem ihr Guthaben verbraucht war. Offen sind {owed}. Bis das \
                 bezahlt ist, werden Vorgänge abgelehnt; neues Guthaben begleicht es zuerst."
        )
    },
    empty: "Das Guthaben ist aufgebraucht",
    empty_text: "Vorgänge laufen erst wieder, wenn Guthaben aufgeladen ist.",
    refused_today: "Heute wurden Vorgänge abgelehnt",
    refused_today_text: |time| {
        format!("Das Guthaben reichte um {time} für einen Vorgang nicht. Er lief nicht und kostete nichts.")
    },
    payment_failed: "Eine Zahlung ist fehlgeschlagen",
    payment_failed_text: |amount| {
        format!("{amount} wurden nicht bezahlt. Es kam kein Guthaben dazu, und es wurde kein Geld genommen.")
    },
    past_due: "Eine Zahlung des Tarifs ist fällig",
    past_due_text: "Das nächste Guthaben des Tarifs kommt mit der Zahlung.",
    welcome: "Willkommen",
    welcome_text: "Guthaben bezahlt jeden Vorgang, bevor er läuft. Was nicht bezahlt werden kann, läuft nicht; was durch \
                   einen Fehler des Systems scheitert, wird automatisch erstattet.",
    step_credits: "Guthaben aufladen",
    step_key: "Einen API-Schlüssel erstellen",
    step_charge: "Den ersten Vorgang abbuchen",
};
