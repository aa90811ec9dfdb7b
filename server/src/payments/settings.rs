//! The settings of payments: how top-ups are paid, and their bounds.

use tollkeeper_ledger::{Micros, TopUpBounds};

use super::stripe::settings::StripeSettings;

/// What the payer reads if the settings say nothing.
const DEFAULT_INSTRUCTIONS: &str =
    "Contact the platform to pay. Credit is added after the payment was confirmed.";

/// The smallest payment in US dollars that Stripe takes.
const STRIPE_MIN_CENTS: i64 = 50;

/// The most characters of the instructions: they fit on a page.
const INSTRUCTIONS_MAX_CHARS: usize = 2_000;

/// How top-ups are paid.
#[derive(Clone, Debug)]
pub struct PaymentSettings {
    /// Whether Stripe takes the payments; otherwise the platform confirms them.
    pub uses_stripe: bool,
    /// What a payer reads about a top-up that the platform confirms.
    pub instructions: String,
    /// The smallest and the largest top-up.
    pub top_up_bounds: TopUpBounds,
    /// True if a period of a subscription counts as paid when it begins.
    pub plans_renew: bool,
    /// How Stripe is reached.
    pub stripe: StripeSettings,
}

impl Default for PaymentSettings {
    fn default() -> PaymentSettings {
        PaymentSettings {
            uses_stripe: false,
            instructions: DEFAULT_INSTRUCTIONS.to_owned(),
            top_up_bounds: TopUpBounds { min_cents: 500, max_cents: 1_000_000 },
            plans_renew: false,
            stripe: StripeSettings::default(),
        }
    }
}

impl PaymentSettings {
    /// Sets one value from its text. `None` if `name` is not a setting of this struct, or the value
    /// is not what the setting must be.
    pub fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "payments" => {
                self.uses_stripe = match value {
                    "manual" => false,
                    "stripe" => true,
                    _ => return None,
                };
            }
            "payment_instructions" => {
                let fits = value.chars().count() <= INSTRUCTIONS_MAX_CHARS && !value.trim().is_empty();
                self.instructions = fits.then(|| value.to_owned())?;
            }
            "plans_renew_automatically" => self.plans_renew = value.parse().ok()?,
            "top_up_min_usd" => self.top_up_bounds.min_cents = cents(value)?,
            "top_up_max_usd" => self.top_up_bounds.max_cents = cents(value)?,
            _ => self.stripe.set(name, value)?,
        }
        Some(())
    }

    /// True unless Stripe is to take the payments and a key or a secret of it is missing.
    pub fn has_keys(&self) -> bool {
        let StripeSettings { api_key, webhook_secrets, .. } = &self.stripe;
        !self.uses_stripe || (api_key.is_some() && !webhook_secrets.is_empty())
    }

    /// True unless Stripe is to take the payments and a top-up may be smaller than Stripe takes.
    pub fn fits_stripe(&self) -> bool {
        !self.uses_stripe || self.top_up_bounds.min_cents >= STRIPE_MIN_CENTS
    }

    /// True if some amount is within the bounds of a top-up.
    pub fn allows_some(&self) -> bool {
        self.top_up_bounds.min_cents <= self.top_up_bounds.max_cents
    }
}

/// Whole cents within the bounds of a top-up, from dollars.
fn cents(usd: &str) -> Option<i64> {
    let cents = Micros::from_usd(usd).ok()?.whole_cents()?;
    TopUpBounds::WIDEST.allow(cents).then_some(cents)
}
