//! The texts of the page about the plan, and of its confirm pages.

use tollkeeper_ledger::{Interval, SubscriptionStatus};

/// The texts of the page about the plan.
#[derive(Debug)]
pub struct PlanWords {
    pub current: &'static str,
    pub none: &'static str,
    pub none_text: &'static str,
    pub status_of: fn(SubscriptionStatus) -> &'static str,
    /// The price, and the interval.
    pub price: fn(&str, Interval) -> String,
    pub free: &'static str,
    pub credits_per_month: fn(&str) -> String,
    pub period: &'static str,
    /// From and to.
    pub period_text: fn(&str, &str) -> String,
    pub next_grant: &'static str,
    pub no_next_grant: &'static str,
    pub due: &'static str,
    /// The name of the plan that is waited for, and what is due.
    pub pending_text: fn(&str, &str) -> String,
    pub past_due_text: fn(&str) -> String,
    pub confirming: &'static str,
    pub confirming_text: &'static str,
    pub pay_first: &'static str,
    pub instructions: &'static str,
    /// The plan, and when it begins.
    pub next_plan: fn(&str, &str) -> String,
    /// The plan, what is due, what it brings, until when.
    pub change_waits: fn(&str, &str, &str, &str) -> String,
    pub cancels: fn(&str) -> String,
    pub ended: fn(&str, &str) -> String,
    pub tiers: &'static str,
    pub no_tiers: &'static str,
    pub sample: &'static str,
    pub samples_text: &'static str,
    pub yours: &'static str,
    /// What is due now, and the credit that it brings.
    pub costs_now: fn(&str, &str) -> String,
    /// When the plan begins.
    pub costs_later: fn(&str) -> String,
    pub other_interval: &'static str,
    pub free_differs: &'static str,
    pub cannot_start: &'static str,
    pub choose: fn(&str) -> String,
    pub keep: fn(&str) -> String,
    pub cancel: &'static str,
    pub back: &'static str,
    pub confirm_change: fn(&str) -> String,
    pub confirm_keep: fn(&str) -> String,
    pub keep_text: &'static str,
    pub due_now: &'static str,
    pub credits_now: &'static str,
    pub credits_monthly: &'static str,
    pub from: &'static str,
    pub at_once: &'static str,
    pub at_once_once_paid: &'static str,
    /// The plan and the amount.
    pub change_button: fn(&str, &str) -> String,
    pub change_free_button: fn(&str) -> String,
    pub by_page_text: &'static str,
    pub by_card_text: &'static str,
    pub by_hand_text: &'static str,
    pub price_changed: &'static str,
    pub confirm_cancel: fn(&str) -> String,
    pub cancel_text: fn(&str) -> String,
    pub cancel_now_text: &'static str,
    pub cancel_button: fn(&str) -> String,
    pub changed: &'static str,
    pub canceled: &'static str,
    pub not_changed: &'static str,
    pub in_a_moment: &'static str,
    pub retired: &'static str,
}

pub(super) const ENGLISH: PlanWords = PlanWords {
    current: "Your plan",
    none: "You have no plan",
    none_text: "A plan brings credit every month. Credits that you buy work without a plan.",
    status_of: |status| match status {
        SubscriptionStatus::Pending => "Waiting for payment",
        SubscriptionStatus::Active => "Active",
        SubscriptionStatus::PastDue => "Past due",
        SubscriptionStatus::Canceled => "Canceled",
        SubscriptionStatus::Ended => "Ended",
    },
    price: |usd, interval| match interval {
        Interval::Month => format!("{usd} a month"),
        Interval::Year => format!("{usd} a year"),
    },
    free: "Free",
    credits_per_month: |credits| format!("{credits} of credit every month"),
    period: "Period",
    period_text: |start, end| format!("{start} to {end}"),
    next_grant: "Next credit",
    no_next_grant: "\u{2014} (it waits for a payment, or the plan ends before)",
    due: "To be paid now",
    pending_text: |plan, due| format!("{plan} begins once {due} is paid. Until then it brings no credit."),
    past_due_text: |due| {
        format!(
            "A period has begun that is not paid. {due} is due. The plan brings no new credit until then; \
             the credit that you have stays."
        )
    },
    confirming: "Confirming your payment",
    confirming_text: "The payment provider has not confirmed the payment yet. This page looks again every \
                      five seconds.",
    pay_first: "Pay the first period",
    instructions: "How to pay",
    next_plan: |plan, when| format!("{plan} begins on {when}."),
    change_waits: |plan, due, credits, until| {
        format!(
            "The change to {plan} waits for the payment of {due}. It then brings {credits} at once. \
             Without payment it is dropped on {until}."
        )
    },
    cancels: |when| format!("The plan ends on {when}. The credit that it brought stays."),
    ended: |plan, when| format!("{plan} ended on {when}. The credit that it brought stays."),
    tiers: "Plans",
    no_tiers: "No plan is offered at the moment.",
    sample: "Sample",
    samples_text: "These plans are samples. They stand here until the platform sets its own.",
    yours: "Your plan",
    costs_now: |due, credits| format!("{due} now for {credits}"),
    costs_later: |when| format!("Nothing now; begins on {when}"),
    other_interval: "It is paid by another interval. Cancel your plan, and start this one when it has ended.",
    free_differs: "Cancel your plan, and start this one when it has ended.",
    cannot_start: "It cannot be started at the moment.",
    choose: |plan| format!("Choose {plan}"),
    keep: |plan| format!("Keep {plan}"),
    cancel: "Cancel the plan",
    back: "Back to plans",
    confirm_change: |plan| format!("Change to {plan}?"),
    confirm_keep: |plan| format!("Keep {plan}?"),
    keep_text: "What was planned is taken back: another plan, or the end. Nothing is charged now.",
    due_now: "To be paid now, without tax",
    credits_now: "Credit that it brings now",
    credits_monthly: "Credit of each month from then on",
    from: "Begins",
    at_once: "At once",
    at_once_once_paid: "As soon as it is paid",
    change_button: |plan, due| format!("Choose {plan} and pay {due}"),
    change_free_button: |plan| format!("Choose {plan} and pay nothing now"),
    by_page_text: "You pay on a page of the payment provider, which then collects each period.",
    by_card_text: "The payment provider charges the card of your plan at once.",
    by_hand_text: "The platform confirms your payment. Nothing is charged by this button.",
    price_changed: "The amount has changed since you saw it. Nothing was charged. Please look again.",
    confirm_cancel: |plan| format!("Cancel {plan}?"),
    cancel_text: |when| {
        format!("The plan ends on {when}, with the period that is paid. The credit that it brought stays.")
    },
    cancel_now_text: "No period is paid, so the plan ends at once. The credit that you have stays.",
    cancel_button: |plan| format!("Cancel {plan}"),
    changed: "The plan was changed.",
    canceled: "The plan was canceled.",
    not_changed: "The plan was not changed, and nothing was charged.",
    in_a_moment: "An earlier change is still under way. Please try again in a moment.",
    retired: "This plan cannot be started: it does not exist any more.",
};

pub(super) const GERMAN: PlanWords = PlanWords {
    current: "Ihr Tarif",
    none: "Sie haben keinen Tarif",
    none_text: "Ein Tarif bringt jeden Monat Guthaben. Gekauftes Guthaben gilt auch ohne Tarif.",
    status_of: |status| match status {
        SubscriptionStatus::Pending => "Wartet auf Zahlung",
        SubscriptionStatus::Active => "Aktiv",
        SubscriptionStatus::PastDue => "Überfällig",
        SubscriptionStatus::Canceled => "Gekündigt",
        SubscriptionStatus::Ended => "Beendet",
    },
    price: |usd, interval| match interval {
        Interval::Month => format!("{usd} im Monat"),
        Interval::Year => format!("{usd} im Jahr"),
    },
    free: "Kostenlos",
    credits_per_month: |credits| format!("{credits} Guthaben in jedem Monat"),
    period: "Zeitraum",
    period_text: |start, end| format!("{start} bis {end}"),
    next_grant: "Nächstes Guthaben",
    no_next_grant: "\u{2014} (es wartet auf eine Zahlung, oder der Tarif endet vorher)",
    due: "Jetzt zu zahlen",
    pending_text: |plan, due| {
        format!("{plan} beginnt, sobald {due} bezahlt sind. Bis dahin kommt kein Guthaben.")
    },
    past_due_text: |due| {
        format!(
            "Ein Zeitraum hat begonnen, der nicht bezahlt ist. {due} sind fällig. Bis dahin bringt der Tarif \
             kein neues Guthaben; vorhandenes bleibt."
        )
    },
    confirming: "Ihre Zahlung wird bestätigt",
    confirming_text: "Der Zahlungsanbieter hat die Zahlung noch nicht bestätigt. Diese Seite sieht alle fünf \
                      Sekunden nach.",
    pay_first: "Ersten Zeitraum bezahlen",
    instructions: "So zahlen Sie",
    next_plan: |plan, when| format!("{plan} beginnt am {when}."),
    change_waits: |plan, due, credits, until| {
        format!(
            "Der Wechsel zu {plan} wartet auf die Zahlung von {due}. Er bringt dann sofort {credits}. Ohne \
             Zahlung entfällt er am {until}."
        )
    },
    cancels: |when| format!("Der Tarif endet am {when}. Das Guthaben, das er brachte, bleibt."),
    ended: |plan, when| format!("{plan} endete am {when}. Das Guthaben, das er brachte, bleibt."),
    tiers: "Tarife",
    no_tiers: "Zurzeit wird kein Tarif angeboten.",
    sample: "Beispiel",
    samples_text: "Diese Tarife sind Beispiele. Sie stehen hier, bis die Plattform eigene festlegt.",
    yours: "Ihr Tarif",
    costs_now: |due, credits| format!("Jetzt {due} für sofort {credits}"),
    costs_later: |when| format!("Jetzt nichts; beginnt am {when}"),
    other_interval: "Er hat einen anderen Zeitraum. Kündigen Sie Ihren Tarif, und beginnen Sie diesen danach.",
    free_differs: "Kündigen Sie Ihren Tarif, und beginnen Sie diesen, wenn er beendet ist.",
    cannot_start: "Er kann zurzeit nicht begonnen werden.",
    choose: |plan| format!("{plan} wählen"),
    keep: |plan| format!("{plan} behalten"),
    cancel: "Tarif kündigen",
    back: "Zurück zu den Tarifen",
    confirm_change: |plan| format!("Zu {plan} wechseln?"),
    confirm_keep: |plan| format!("{plan} behalten?"),
    keep_text: "Was geplant war, wird zurückgenommen: ein anderer Tarif oder das Ende. Jetzt wird nichts abgebucht.",
    due_now: "Jetzt zu zahlen, ohne Steuer",
    credits_now: "Guthaben, das sofort kommt",
    credits_monthly: "Guthaben in jedem Monat danach",
    from: "Beginn",
    at_once: "Sofort",
    at_once_once_paid: "Sobald bezahlt ist",
    change_button: |plan, due| format!("{plan} wählen und {due} zahlen"),
    change_free_button: |plan| format!("{plan} wählen und jetzt nichts zahlen"),
    by_page_text: "Sie zahlen auf einer Seite des Zahlungsanbieters, der dann jeden Zeitraum einzieht.",
    by_card_text: "Der Zahlungsanbieter belastet sofort die Karte Ihres Tarifs.",
    by_hand_text: "Die Plattform bestätigt Ihre Zahlung. Dieser Knopf bucht nichts ab.",
    price_changed: "Der Betrag hat sich geändert, seit Sie ihn sahen. Es wurde nichts abgebucht. Bitte prüfen Sie ihn.",
    confirm_cancel: |plan| format!("{plan} kündigen?"),
    cancel_text: |when| {
        format!(
            "Der Tarif endet am {when}, mit dem bezahlten Zeitraum. Das Guthaben, das er brachte, bleibt."
        )
    },
    cancel_now_text: "Kein Zeitraum ist bezahlt, also endet der Tarif sofort. Vorhandenes Guthaben bleibt.",
    cancel_button: |plan| format!("{plan} kündigen"),
    changed: "Der Tarif wurde geändert.",
    canceled: "Der Tarif wurde gekündigt.",
    not_changed: "Der Tarif wurde nicht geändert, und es wurde nichts abgebucht.",
    in_a_moment: "Eine frühere Änderung läuft noch. Bitte versuchen Sie es gleich noch einmal.",
    retired: "Diesen Tarif gibt es nicht mehr.",
};
