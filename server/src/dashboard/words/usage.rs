//! The texts of the page of use.

/// The texts of the page of use. A function of a name gets the name of a filter: `operation`,
/// `worker`, `member` or `key`.
#[derive(Debug)]
pub struct UsageWords {
    pub range: &'static str,
    /// Today, 7, 30 and 90 days, this month, last month.
    pub spans: [&'static str; 6],
    /// The first and the last day.
    pub from_to: fn(&str, &str) -> String,
    /// A range that has not ended.
    pub so_far: fn(&str) -> String,
    /// The time zone of days.
    pub zone: fn(&str) -> String,
    pub grouping: &'static str,
    /// A grouping: "By worker".
    pub by: fn(&str) -> &'static str,
    /// The title of the chart and the table.
    pub title: fn(&str) -> &'static str,
    /// A filter: "Worker".
    pub label: fn(&str) -> &'static str,
    /// The name of charges without such a name.
    pub without: fn(&str) -> &'static str,
    pub filters: &'static str,
    pub from: &'static str,
    pub to: &'static str,
    pub all: &'static str,
    pub show: &'static str,
    pub clear: &'static str,
    pub only_own: &'static str,
    pub used: &'static str,
    /// The number of charges, what was charged, what was refunded.
    pub summary: fn(&str, &str, &str) -> String,
    pub runs: &'static str,
    pub quantity: &'static str,
    pub charged: &'static str,
    pub refunded: &'static str,
    pub cost: &'static str,
    pub others: fn(usize) -> String,
    pub total: &'static str,
    pub csv: &'static str,
    pub see_charges: &'static str,
    pub nothing: &'static str,
    /// A link to the last day with charges; the day.
    pub last_day: fn(&str) -> String,
    pub nothing_ever: &'static str,
    pub day_wrong: &'static str,
    pub backwards: &'static str,
    pub too_long: &'static str,
    pub name_wrong: &'static str,
    pub not_counted: &'static str,
    pub too_large: &'static str,
}

pub(super) const ENGLISH: UsageWords = UsageWords {
    range: "Range",
    spans: ["Today", "7 days", "30 days", "90 days", "This month", "Last month"],
    from_to: |from, to| format!("{from} to {to}"),
    so_far: |range| format!("{range}, so far"),
    zone: |zone| format!("days in {zone}"),
    grouping: "Grouping",
    by: |name| match name {
        "worker" => "By worker",
        "member" => "By member",
        "key" => "By API key",
        _ => "By operation",
    },
    title: |name| match name {
        "worker" => "Use by worker",
        "member" => "Use by member",
        "key" => "Use by API key",
        _ => "Use by operation",
    },
    label: |name| match name {
        "worker" => "Worker",
        "member" => "Member",
        "key" => "API key",
        _ => "Operation",
    },
    without: |name| match name {
        "worker" => "Without a worker",
        "member" => "Without a member",
        "key" => "Without an API key",
        _ => "Without an operation",
    },
    filters: "Own range and filters",
    from: "First day",
    to: "Last day",
    all: "All",
    show: "Show",
    clear: "Remove the filters",
    only_own: "You see your own use. Admins see that of all members.",
    used: "Used",
    summary: |runs, charged, refunded| format!("Charges: {runs}. Charged {charged}, refunded {refunded}."),
    runs: "Charges",
    quantity: "Units",
    charged: "Charged",
    refunded: "Refunded",
    cost: "Cost",
    others: |names| format!("Other ({names})"),
    total: "Total",
    csv: "Download as CSV",
    see_charges: "See the charges",
    nothing: "Nothing was used in this range.",
    last_day: |day| format!("See the last day with charges, {day}"),
    nothing_ever: "There are no charges yet. Each operation that your product charges for appears here.",
    day_wrong: "Enter a date, such as 2026-11-23.",
    backwards: "The last day must not be before the first day.",
    too_long: "A range has at most 366 days. Choose a later first day.",
    name_wrong: "There can be no such name. Choose another one.",
    not_counted: "The time zone of this workspace was changed, and the use before that was counted by whole hours, \
                  which do not fit its days. Choose a range of at most 31 days.",
    too_large: "There are too many names in this range to show. Choose a shorter range or another grouping.",
};

pub(super) const GERMAN: UsageWords = UsageWords {
    range: "Zeitraum",
    spans: ["Heute", "7 Tage", "30 Tage", "90 Tage", "Dieser Monat", "Letzter Monat"],
    from_to: |from, to| format!("{from} bis {to}"),
    so_far: |range| format!("{range}, bis jetzt"),
    zone: |zone| format!("Tage in {zone}"),
    grouping: "Gruppierung",
    by: |name| match name {
        "worker" => "Nach Worker",
        "member" => "Nach Mitglied",
        "key" => "Nach API-Schlüssel",
        _ => "Nach Vorgang",
    },
    title: |name| match name {
        "worker" => "Verbrauch nach Worker",
        "member" => "Verbrauch nach Mitglied",
        "key" => "Verbrauch nach API-Schlüssel",
        _ => "Verbrauch nach Vorgang",
    },
    label: |name| match name {
        "worker" => "Worker",
        "member" => "Mitglied",
        "key" => "API-Schlüssel",
        _ => "Vorgang",
    },
    without: |name| match name {
        "worker" => "Ohne Worker",
        "member" => "Ohne Mitglied",
        "key" => "Ohne API-Schlüssel",
        _ => "Ohne Vorgang",
    },
    filters: "Eigener Zeitraum und Filter",
    from: "Erster Tag",
    to: "Letzter Tag",
    all: "Alle",
    show: "Anzeigen",
    clear: "Filter entfernen",
    only_own: "Sie sehen Ihren eigenen Verbrauch. Admins sehen den aller Mitglieder.",
    used: "Verbraucht",
    summary: |runs, charged, refunded| {
        format!("Buchungen: {runs}. Abgebucht {charged}, erstattet {refunded}.")
    },
    runs: "Buchungen",
    quantity: "Einheiten",
    charged: "Abgebucht",
    refunded: "Erstattet",
    cost: "Kosten",
    others: |names| format!("Andere ({names})"),
    total: "Summe",
    csv: "Als CSV herunterladen",
    see_charges: "Buchungen ansehen",
    nothing: "In diesem Zeitraum wurde nichts verbraucht.",
    last_day: |day| format!("Zum letzten Tag mit Buchungen, {day}"),
    nothing_ever: "Es gibt noch keine Buchungen. Jeder Vorgang, für den Ihr Produkt abbucht, erscheint hier.",
    day_wrong: "Geben Sie ein Datum ein, etwa 2026-11-23.",
    backwards: "Der letzte Tag darf nicht vor dem ersten liegen.",
    too_long: "Ein Zeitraum hat höchstens 366 Tage. Wählen Sie einen späteren ersten Tag.",
    name_wrong: "Einen solchen Namen kann es nicht geben. Wählen Sie einen anderen.",
    not_counted: "Die Zeitzone dieses Arbeitsbereichs wurde geändert, und der Verbrauch davor wurde nach ganzen Stunden \
                  gezählt, die nicht zu ihren Tagen passen. Wählen Sie einen Zeitraum von höchstens 31 Tagen.",
    too_large: "In diesem Zeitraum gibt es zu viele Namen. Wählen Sie einen kürzeren Zeitraum oder eine andere \
                Gruppierung.",
};
