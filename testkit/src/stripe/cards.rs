//! Cards and how they behave: the numbers are Stripe's documented test numbers.

use serde_json::{Value, json};

/// A card that a payer uses or that is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Card {
    /// Every payment succeeds.
    Good,
    /// As [`Card::Good`], of another brand.
    GoodMastercard,
    /// Soft decline: `insufficient_funds`, advice `try_again_later`.
    InsufficientFunds,
    /// Soft decline without a reason: `generic_decline`.
    GenericDecline,
    /// Hard decline: `stolen_card`, advice `do_not_try_again`.
    Stolen,
    /// Hard decline: `lost_card`, advice `do_not_try_again`.
    Lost,
    /// The card has expired: code `expired_card`, advice `confirm_card_data`.
    Expired,
    /// Code `processing_error`: a decline that a new attempt may cure.
    ProcessingError,
    /// Payments without the payer need authentication.
    NeedsAuthentication,
    /// It can be saved; every payment is declined with `generic_decline`.
    DeclinedAfterSaving,
}

/// Why a card was declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decline {
    /// `error.code`.
    pub code: &'static str,
    /// `error.decline_code`.
    pub decline_code: Option<&'static str>,
    /// `error.advice_code`.
    pub advice_code: Option<&'static str>,
    /// `error.message`.
    pub message: &'static str,
}

/// The card, its number, its test token, its brand.
const CARDS: [(Card, &str, &str, &str); 10] = [
    (Card::Good, "4242424242424242", "visa", "visa"),
    (Card::GoodMastercard, "5555555555554444", "mastercard", "mastercard"),
    (Card::InsufficientFunds, "4000000000009995", "visa_chargeDeclinedInsufficientFunds", "visa"),
    (Card::GenericDecline, "4000000000000002", "visa_chargeDeclined", "visa"),
    (Card::Stolen, "4000000000009979", "visa_chargeDeclinedStolenCard", "visa"),
    (Card::Lost, "4000000000009987", "visa_chargeDeclinedLostCard", "visa"),
    (Card::Expired, "4000000000000069", "chargeDeclinedExpiredCard", "visa"),
    (Card::ProcessingError, "4000000000000119", "chargeDeclinedProcessingError", "visa"),
    (Card::NeedsAuthentication, "4000002760003184", "authenticationRequired", "visa"),
    (Card::DeclinedAfterSaving, "4000000000000341", "chargeCustomerFail", "visa"),
];

impl Card {
    fn row(self) -> &'static (Card, &'static str, &'static str, &'static str) {
        CARDS.iter().find(|row| row.0 == self).expect("the table has every card")
    }

    /// The number of the card.
    #[must_use]
    pub fn number(self) -> &'static str {
        self.row().1
    }

    /// The card with this number.
    #[must_use]
    pub fn by_number(number: &str) -> Option<Card> {
        CARDS.iter().find(|row| row.1 == number).map(|row| row.0)
    }

    /// The card of a test token: `tok_visa`, or `pm_card_visa`.
    pub(super) fn by_token(token: &str) -> Option<Card> {
        let name = token.strip_prefix("tok_").or_else(|| token.strip_prefix("pm_card_"))?;
        CARDS.iter().find(|row| row.2 == name).map(|row| row.0)
    }

    pub(super) fn brand(self) -> &'static str {
        self.row().3
    }

    pub(super) fn last4(self) -> &'static str {
        &self.number()[12..]
    }

    /// Why a payment is declined; `None` if it is not, or needs authentication.
    #[must_use]
    pub fn decline(self) -> Option<Decline> {
        let declined = |code, decline_code, advice_code, message| {
            Some(Decline { code, decline_code, advice_code, message })
        };
        match self {
            Card::Good | Card::GoodMastercard | Card::NeedsAuthentication => None,
            Card::InsufficientFunds => declined(
                "card_declined",
                Some("insufficient_funds"),
                Some("try_again_later"),
                "Your card has insufficient funds.",
            ),
            Card::GenericDecline | Card::DeclinedAfterSaving => declined(
                "card_declined",
                Some("generic_decline"),
                Some("try_again_later"),
                "Your card was declined.",
            ),
            Card::Stolen => declined(
                "card_declined",
                Some("stolen_card"),
                Some("do_not_try_again"),
                "Your card was declined.",
            ),
            Card::Lost => declined(
                "card_declined",
                Some("lost_card"),
                Some("do_not_try_again"),
                "Your card was declined.",
            ),
            Card::Expired => {
                declined("expired_card", None, Some("confirm_card_data"), "Your card has expired.")
            }
            Card::ProcessingError => declined(
                "processing_error",
                None,
                Some("try_again_later"),
                "An error occurred while processing your card.",
            ),
        }
    }

    /// The decline of a payment without the payer that needs one.
    pub(super) fn authentication_required() -> Decline {
        Decline {
            code: "authentication_required",
            decline_code: Some("authentication_required"),
            advice_code: None,
            message: "Your card was declined. This transaction requires authentication.",
        }
    }

    /// `payment_method_details.card` of a charge.
    pub(super) fn charge_details(self) -> Value {
        json!({
            "amount_authorized": null, "authorization_code": "123456", "brand": self.brand(),
            "checks": {"address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass"},
            "country": "US", "electronic_commerce_indicator": null, "exp_month": 12, "exp_year": 2040,
            "funding": "credit", "installments": null, "last4": self.last4(), "mandate": null,
            "network": self.brand(), "network_transaction_id": null, "regulated_status": "unregulated",
            "three_d_secure": null, "transaction_link_id": null, "wallet": null,
        })
    }
}
