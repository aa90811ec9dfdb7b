//! The texts of the page about credits: adding them, the automatic top-up, grants and payments.

use tollkeeper_ledger::{PaymentRefundStatus, Source, StopReason, TopUpFailure, TopUpStatus, TopUpWay};

/// The texts of the page about credits.
#[derive(Debug)]
pub struct CreditsWords {
    pub no_credit: &'static str,
    pub no_credit_text: &'static str,
    /// What is owed.
    pub owed: fn(&str) -> String,
    pub add: &'static str,
    /// What a dollar buys, in micro-units.
    pub never_expire: fn(&str) -> String,
    /// The button of an amount.
    pub add_amount: fn(&str) -> String,
    pub own_amount: &'static str,
    /// The smallest and the largest amount.
    pub bounds: fn(&str, &str) -> String,
    /// What the typed dollars buy; the script puts the number in the place of `{0}`.
    pub buys: &'static str,
    pub add_button: &'static str,
    pub pay_button: &'static str,
    pub by_hand: &'static str,
    pub on_a_page: &'static str,
    pub nothing_was_charged: &'static str,
    pub nothing_was_changed: &'static str,
    pub stale_form: &'static str,
    pub not_an_amount: &'static str,
    pub out_of_bounds: fn(&str, &str) -> String,
    pub automatic: AutomaticWords,
    pub history: HistoryWords,
}

/// The texts of the automatic top-up.
#[derive(Debug)]
pub struct AutomaticWords {
    pub heading: &'static str,
    pub text: &'static str,
    pub off: &'static str,
    /// The threshold and the amount.
    pub on: fn(&str, &str) -> String,
    pub paused: fn(&str) -> String,
    pub stopped: fn(StopReason) -> &'static str,
    /// What was bought this month, and the cap.
    pub bought: fn(&str, &str) -> String,
    pub needs_card: &'static str,
    pub no_cards_here: &'static str,
    /// Brand, last digits, month of expiry.
    pub card: fn(&str, &str, &str) -> String,
    pub save_card: &'static str,
    pub replace_card: &'static str,
    pub remove_card: &'static str,
    pub confirm_remove_card: &'static str,
    pub remove_card_text: &'static str,
    pub card_removed: &'static str,
    pub billing_portal: &'static str,
    pub threshold: &'static str,
    pub amount: &'static str,
    pub cap: &'static str,
    pub cap_hint: &'static str,
    pub turn_on: &'static str,
    pub turn_off: &'static str,
    pub saved: &'static str,
    pub turned_off: &'static str,
    pub threshold_too_small: &'static str,
    pub threshold_too_large: &'static str,
    pub cap_too_small: &'static str,
    pub cap_too_large: fn(&str) -> String,
}

/// The texts of grants and payments.
#[derive(Debug)]
pub struct HistoryWords {
    pub grants: &'static str,
    pub grants_caption: &'static str,
    pub no_grants: &'static str,
    pub payments: &'static str,
    pub payments_caption: &'static str,
    pub no_payments: &'static str,
    pub when: &'static str,
    pub what: &'static str,
    pub reason: &'static str,
    pub granted: &'static str,
    pub left: &'static str,
    pub status: &'static str,
    pub paid: &'static str,
    pub credits: &'static str,
    pub newest: &'static str,
    pub source: fn(Source) -> &'static str,
    pub voided: fn(&str) -> String,
    pub way: fn(TopUpWay) -> &'static str,
    pub period: fn(&str) -> String,
    pub status_of: fn(TopUpStatus) -> &'static str,
    pub failure: fn(TopUpFailure) -> &'static str,
    /// A payment refund: what became of it, its amount, its date.
    pub refund: fn(PaymentRefundStatus, &str, &str) -> String,
    pub lost: fn(&str) -> String,
}

pub(super) const ENGLISH: CreditsWords = CreditsWords {
    no_credit: "No credit is left",
    no_credit_text: "Operations that cost credit do not run until credit is added.",
    owed: |debt| format!("You owe {debt} after a lost payment. Credit that you add repays this first."),
    add: "Add credits",
    never_expire: |micros| format!("$1.00 buys {micros}. Credits that you buy never expire."),
    add_amount: |usd| format!("Add {usd}"),
    own_amount: "Another amount in US dollars",
    bounds: |min, max| format!("From {min} to {max}, in whole cents."),
    buys: "Buys {0} micro-units",
    add_button: "Add credits",
    pay_button: "Continue to payment",
    by_hand: "Credits are added once your payment has been confirmed.",
    on_a_page: "You pay on a page of the payment provider. Credits are added once it confirms the payment.",
    nothing_was_charged: "Nothing was charged. Please correct the marked field.",
    nothing_was_changed: "Nothing was changed. Please correct the marked fields.",
    stale_form: "The form was not complete. Nothing was charged. Please send it again.",
    not_an_amount: "Enter an amount such as 25 or 12.50.",
    out_of_bounds: |min, max| format!("Enter an amount from {min} to {max}."),
    automatic: AutomaticWords {
        heading: "Automatic top-up",
        text: "Buys credit with your saved card as soon as less than a threshold is available.",
        off: "It is off.",
        on: |threshold, amount| {
            format!("It is on. When less than {threshold} is available, {amount} is bought.")
        },
        paused: |until| format!("The last payment failed. The next attempt is not before {until}."),
        stopped: |why| match why {
            StopReason::Requested => "It is off.",
            StopReason::PaymentMethodRemoved => "It stopped because the saved card was removed.",
            StopReason::Declined => "It stopped because the bank declined the card. Save another card.",
            StopReason::AuthenticationNeeded => {
                "It stopped because the bank wants the holder of the card to confirm each payment."
            }
            StopReason::Disputed => "It stopped because a payment is disputed.",
            StopReason::FraudWarning => "It stopped because the payment provider warned of fraud.",
        },
        bought: |bought, cap| format!("{bought} of at most {cap} bought this month."),
        needs_card: "It needs a saved card.",
        no_cards_here: "Payments are confirmed by hand here, so no card can be saved.",
        card: |brand, last4, expires| format!("{brand} ending in {last4}, expires {expires}"),
        save_card: "Save a card",
        replace_card: "Use another card",
        remove_card: "Remove the card",
        confirm_remove_card: "Remove the card?",
        remove_card_text: "Automatic top-ups stop. The credit that you have stays.",
        card_removed: "The card was removed. Automatic top-ups are off.",
        billing_portal: "Cards, addresses and invoices",
        threshold: "Buy when less than this is available (US dollars)",
        amount: "Buy each time (US dollars)",
        cap: "Buy at most each month (US dollars)",
        cap_hint: "No more than this is charged to the card in a calendar month.",
        turn_on: "Turn on",
        turn_off: "Turn off",
        saved: "The automatic top-up is on.",
        turned_off: "The automatic top-up is off.",
        threshold_too_small: "Enter more than zero.",
        threshold_too_large: "Enter at most what is bought each time, so that one top-up is enough.",
        cap_too_small: "Enter at least what is bought each time.",
        cap_too_large: |max| format!("Enter at most {max}."),
    },
    history: HistoryWords {
        grants: "Credit received",
        grants_caption: "Credit that was added, newest first, with what is left of it",
        no_grants: "No credit has been added yet.",
        payments: "Payments",
        payments_caption: "Payments, newest first",
        no_payments: "Nothing has been paid yet.",
        when: "When",
        what: "What",
        reason: "Reason",
        granted: "Added",
        left: "Left",
        status: "Status",
        paid: "Amount",
        credits: "Credit",
        newest: "Newest",
        source: |source| match source {
            Source::Promotional => "Promotional credit",
            Source::Adjustment => "Adjustment",
            Source::Subscription => "Plan",
            Source::TopUp => "Top-up",
        },
        voided: |when| format!("Taken back on {when}"),
        way: |way| match way {
            TopUpWay::Manual => "Manual top-up",
            TopUpWay::Checkout => "Top-up",
            TopUpWay::Automatic => "Automatic top-up",
        },
        period: |start| format!("Plan, period from {start}"),
        status_of: |status| match status {
            TopUpStatus::Pending => "Waiting",
            TopUpStatus::Succeeded => "Paid",
            TopUpStatus::Failed => "Failed",
            TopUpStatus::Expired => "Expired",
        },
        failure: |failure| match failure {
            TopUpFailure::SoftDecline => "The bank declined the card for now.",
            TopUpFailure::HardDecline => "The bank declined the card for good.",
            TopUpFailure::AuthenticationNeeded => "The bank wants the holder of the card to confirm it.",
            TopUpFailure::NotPaid => "It was cancelled, or no money came.",
            TopUpFailure::RefusedByProvider => "The payment provider refused the request.",
        },
        refund: |status, amount, when| match status {
            PaymentRefundStatus::Pending => format!("{amount} is being sent back since {when}."),
            PaymentRefundStatus::Succeeded => format!("{amount} was sent back on {when}."),
            PaymentRefundStatus::Failed => format!("{amount} could not be sent back on {when}."),
        },
        lost: |amount| format!("{amount} was refunded or disputed at the payment provider."),
    },
};

pub(super) const GERMAN: CreditsWords = CreditsWords {
    no_credit: "Das Guthaben ist aufgebraucht",
    no_credit_text: "Kostenpflichtige Vorgänge laufen erst wieder, wenn Guthaben aufgeladen ist.",
    owed: |debt| {
        format!(
            "Nach einer verlorenen Zahlung sind {debt} offen. Neues Guthaben begleicht zuerst diese Schuld."
        )
    },
    add: "Guthaben aufladen",
    never_expire: |micros| format!("Für 1,00\u{a0}$ gibt es {micros}. Gekauftes Guthaben verfällt nie."),
    add_amount: |usd| format!("{usd} aufladen"),
    own_amount: "Anderer Betrag in US-Dollar",
    bounds: |min, max| format!("Von {min} bis {max}, in ganzen Cent."),
    buys: "Das sind {0} Mikroeinheiten",
    add_button: "Guthaben aufladen",
    pay_button: "Weiter zur Zahlung",
    by_hand: "Das Guthaben kommt, sobald Ihre Zahlung bestätigt ist.",
    on_a_page: "Sie zahlen auf einer Seite des Zahlungsanbieters. Das Guthaben kommt, sobald er die Zahlung bestätigt.",
    nothing_was_charged: "Es wurde nichts abgebucht. Bitte korrigieren Sie das markierte Feld.",
    nothing_was_changed: "Es wurde nichts geändert. Bitte korrigieren Sie die markierten Felder.",
    stale_form: "Das Formular war nicht vollständig. Es wurde nichts abgebucht. Bitte senden Sie es noch einmal.",
    not_an_amount: "Geben Sie einen Betrag ein, etwa 25 oder 12,50.",
    out_of_bounds: |min, max| format!("Geben Sie einen Betrag von {min} bis {max} ein."),
    automatic: AutomaticWords {
        heading: "Automatisch aufladen",
        text: "Kauft Guthaben mit Ihrer gespeicherten Karte, sobald weniger als ein Schwellenwert verfügbar ist.",
        off: "Es ist ausgeschaltet.",
        on: |threshold, amount| {
            format!(
                "Es ist eingeschaltet. Wenn weniger als {threshold} verfügbar sind, werden {amount} gekauft."
            )
        },
        paused: |until| {
            format!("Die letzte Zahlung ist fehlgeschlagen. Der nächste Versuch ist nicht vor {until}.")
        },
        stopped: |why| match why {
            StopReason::Requested => "Es ist ausgeschaltet.",
            StopReason::PaymentMethodRemoved => "Angehalten, weil die gespeicherte Karte entfernt wurde.",
            StopReason::Declined => {
                "Angehalten, weil die Bank die Karte abgelehnt hat. Speichern Sie eine andere Karte."
            }
            StopReason::AuthenticationNeeded => {
                "Angehalten, weil die Bank jede Zahlung vom Inhaber der Karte bestätigt haben will."
            }
            StopReason::Disputed => "Angehalten, weil eine Zahlung bestritten wird.",
            StopReason::FraudWarning => "Angehalten, weil der Zahlungsanbieter vor Betrug gewarnt hat.",
        },
        bought: |bought, cap| format!("In diesem Monat {bought} von höchstens {cap} gekauft."),
        needs_card: "Dazu wird eine gespeicherte Karte gebraucht.",
        no_cards_here: "Zahlungen werden hier von Hand bestätigt, daher kann keine Karte gespeichert werden.",
        card: |brand, last4, expires| format!("{brand} mit den Endziffern {last4}, gültig bis {expires}"),
        save_card: "Karte speichern",
        replace_card: "Andere Karte verwenden",
        remove_card: "Karte entfernen",
        confirm_remove_card: "Karte entfernen?",
        remove_card_text: "Das automatische Aufladen hält an. Vorhandenes Guthaben bleibt.",
        card_removed: "Die Karte wurde entfernt. Das automatische Aufladen ist ausgeschaltet.",
        billing_portal: "Karten, Adressen und Rechnungen",
        threshold: "Kaufen, wenn weniger als das verfügbar ist (US-Dollar)",
        amount: "Jedes Mal kaufen (US-Dollar)",
        cap: "Höchstens im Monat kaufen (US-Dollar)",
        cap_hint: "Mehr als das wird der Karte in einem Kalendermonat nicht belastet.",
        turn_on: "Einschalten",
        turn_off: "Ausschalten",
        saved: "Das automatische Aufladen ist eingeschaltet.",
        turned_off: "Das automatische Aufladen ist ausgeschaltet.",
        threshold_too_small: "Geben Sie mehr als null ein.",
        threshold_too_large: "Geben Sie höchstens das ein, was jedes Mal gekauft wird. Dann reicht ein Kauf.",
        cap_too_small: "Geben Sie mindestens das ein, was jedes Mal gekauft wird.",
        cap_too_large: |max| format!("Geben Sie höchstens {max} ein."),
    },
    history: HistoryWords {
        grants: "Erhaltenes Guthaben",
        grants_caption: "Guthaben, das dazukam, das neueste zuerst, mit dem, was davon übrig ist",
        no_grants: "Es ist noch kein Guthaben dazugekommen.",
        payments: "Zahlungen",
        payments_caption: "Zahlungen, die neuesten zuerst",
        no_payments: "Es wurde noch nichts bezahlt.",
        when: "Wann",
        what: "Was",
        reason: "Grund",
        granted: "Dazu",
        left: "Übrig",
        status: "Stand",
        paid: "Betrag",
        credits: "Guthaben",
        newest: "Neueste",
        source: |source| match source {
            Source::Promotional => "Geschenktes Guthaben",
            Source::Adjustment => "Korrektur",
            Source::Subscription => "Tarif",
            Source::TopUp => "Aufladung",
        },
        voided: |when| format!("Zurückgenommen am {when}"),
        way: |way| match way {
            TopUpWay::Manual => "Manuelle Aufladung",
            TopUpWay::Checkout => "Aufladung",
            TopUpWay::Automatic => "Automatische Aufladung",
        },
        period: |start| format!("Tarif, Zeitraum ab {start}"),
        status_of: |status| match status {
            TopUpStatus::Pending => "Wartet",
            TopUpStatus::Succeeded => "Bezahlt",
            TopUpStatus::Failed => "Fehlgeschlagen",
            TopUpStatus::Expired => "Abgelaufen",
        },
        failure: |failure| match failure {
            TopUpFailure::SoftDecline => "Die Bank hat die Karte vorerst abgelehnt.",
            TopUpFailure::HardDecline => "Die Bank hat die Karte endgültig abgelehnt.",
            TopUpFailure::AuthenticationNeeded => {
                "Die Bank will die Zahlung vom Inhaber der Karte bestätigt haben."
            }
            TopUpFailure::NotPaid => "Sie wurde abgebrochen, oder es kam kein Geld.",
            TopUpFailure::RefusedByProvider => "Der Zahlungsanbieter hat die Anfrage abgelehnt.",
        },
        refund: |status, amount, when| match status {
            PaymentRefundStatus::Pending => format!("{amount} werden seit {when} zurückgezahlt."),
            PaymentRefundStatus::Succeeded => format!("{amount} wurden am {when} zurückgezahlt."),
            PaymentRefundStatus::Failed => format!("{amount} konnten am {when} nicht zurückgezahlt werden."),
        },
        lost: |amount| format!("{amount} wurden beim Zahlungsanbieter erstattet oder bestritten."),
    },
};
