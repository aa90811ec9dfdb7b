//! The customer that a workspace is at a payment provider, and its saved card.
//!
//! A card belongs to the customer for which it was saved: it goes when another customer takes its
//! place. Of a card only what a person recognises it by is kept, and the provider's id of it. What
//! is charged to it is in `auto_top_up`.

use super::Payments;
use crate::journal::codec::{Malformed, Reader, Writer, coded};
use crate::journal::disagreement::{Violation, ensure};
use crate::{Kind, bounds};

/// A payment provider at which a workspace can have a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Stripe.
    Stripe,
}

coded!(Provider, "a payment provider", {
    Stripe = 1 "stripe",
});

/// The record of a workspace at a payment provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// The provider.
    pub provider: Provider,
    /// The provider's id of the customer.
    pub id: Box<str>,
}

/// A saved card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The provider's id of the payment method.
    pub id: Box<str>,
    /// The brand, as the provider spells it.
    pub brand: Box<str>,
    /// The last four digits of its number.
    pub last4: Box<str>,
    /// The month in which it expires, 1 to 12.
    pub expires_month: u8,
    /// The year in which it expires.
    pub expires_year: u16,
}

/// What can be asked of the customer and the card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CardCommand {
    /// Says which customer the workspace is at the provider. It takes the place of the one that the
    /// caller saw, and of no other, so two callers that create a customer at once link one.
    LinkCustomer {
        /// The customer.
        customer: Customer,
        /// The id of the customer that the caller saw; `None` if there was none.
        replaces: Option<Box<str>>,
    },
    /// Says which card the provider saved for the customer.
    SaveCard(Card),
    /// Removes the saved card, and stops automatic top-ups.
    RemoveCard {
        /// The provider's id of the card that is gone; whichever is saved if `None`.
        id: Option<Box<str>>,
    },
}

/// What happened to the customer and the card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CardChange {
    /// The workspace is this customer. A card that was saved for another one is gone.
    Linked(Customer),
    /// A card was saved, in place of the one before.
    Saved(Card),
    /// The card with this id of the provider was removed.
    Removed(Box<str>),
}

impl Customer {
    /// True if the id is one that a provider gives.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        is_provider_id(&self.id)
    }

    fn write(&self, w: &mut Writer) {
        let Customer { provider, id } = self;
        w.byte(provider.code());
        w.text(id);
    }

    fn read(r: &mut Reader) -> Result<Customer, Malformed> {
        let customer = Customer {
            provider: Provider::from_code(r.byte("a customer's provider")?)?,
            id: r.text("a customer")?.into(),
        };
        if customer.is_well_formed() { Ok(customer) } else { Err(Malformed("a customer")) }
    }
}

impl Card {
    /// True if every part is one that a provider gives. More than the last four digits of a number
    /// is no card.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let Card { id, brand, last4, expires_month, expires_year } = self;
        is_provider_id(id)
            && is_printable(brand, bounds::CARD_BRAND_MAX_BYTES)
            && last4.len() == 4
            && last4.bytes().all(|digit| digit.is_ascii_digit())
            && (1..=12).contains(expires_month)
            && (2_000..=9_999).contains(expires_year)
    }

    fn write(&self, w: &mut Writer) {
        let Card { id, brand, last4, expires_month, expires_year } = self;
        w.text(id);
        w.text(brand);
        w.text(last4);
        w.byte(*expires_month);
        w.unsigned(u64::from(*expires_year));
    }

    fn read(r: &mut Reader) -> Result<Card, Malformed> {
        const WHAT: &str = "a card";
        let card = Card {
            id: r.text(WHAT)?.into(),
            brand: r.text("a card's brand")?.into(),
            last4: r.text("a card's last digits")?.into(),
            expires_month: r.byte("a card's expiry")?,
            expires_year: r.unsigned("a card's expiry")?.try_into().map_err(|_| Malformed(WHAT))?,
        };
        if card.is_well_formed() { Ok(card) } else { Err(Malformed(WHAT)) }
    }
}

impl CardChange {
    /// The kind of the entry that carries the change.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            CardChange::Linked(_) => Kind::CustomerLinked,
            CardChange::Saved(_) => Kind::CardSaved,
            CardChange::Removed(_) => Kind::CardRemoved,
        }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            CardChange::Linked(customer) => customer.write(w),
            CardChange::Saved(card) => card.write(w),
            CardChange::Removed(id) => w.text(id),
        }
    }

    pub(crate) fn read(r: &mut Reader, kind: Kind) -> Result<CardChange, Malformed> {
        Ok(match kind {
            Kind::CustomerLinked => CardChange::Linked(Customer::read(r)?),
            Kind::CardSaved => CardChange::Saved(Card::read(r)?),
            Kind::CardRemoved => CardChange::Removed(r.text("a card")?.into()),
            _ => return Err(Malformed("a change of a card")),
        })
    }
}

impl Payments {
    /// Applies an entry about the customer or the card.
    ///
    /// # Errors
    /// [`Violation`] if the change does not follow from the payments as they are.
    pub(super) fn apply_card(&mut self, change: &CardChange) -> Result<(), Violation> {
        match change {
            CardChange::Linked(customer) => {
                ensure(self.customer.as_ref() != Some(customer), "a customer is linked twice")?;
                (self.customer, self.card) = (Some(customer.clone()), None);
            }
            CardChange::Saved(card) => {
                ensure(self.customer.is_some(), "a card is saved without its customer")?;
                ensure(self.card.as_ref() != Some(card), "a card is saved that is saved already")?;
                self.card = Some(card.clone());
            }
            CardChange::Removed(id) => {
                let is_it = self.card.as_ref().is_some_and(|card| card.id == *id);
                ensure(is_it, "a card is removed that is not saved")?;
                self.card = None;
            }
        }
        Ok(())
    }

    /// Writes the section of the customer and the card.
    pub(super) fn write_customer(&self, w: &mut Writer, customer: &Customer) {
        assert!(self.customer.as_ref() == Some(customer), "a section must be of these payments");
        customer.write(w);
        w.flag(self.card.is_some());
        if let Some(card) = &self.card {
            card.write(w);
        }
    }

    /// Reads the section of the customer and the card.
    pub(super) fn read_customer(&mut self, r: &mut Reader) -> Result<(), Malformed> {
        self.customer = Some(Customer::read(r)?);
        self.card = if r.flag("a card")? { Some(Card::read(r)?) } else { None };
        Ok(())
    }
}

/// True if the text can be an id at a payment provider.
pub(crate) fn is_provider_id(id: &str) -> bool {
    is_printable(id, bounds::PROVIDER_ID_MAX_BYTES)
}

fn is_printable(text: &str, max_bytes: usize) -> bool {
    (1..=max_bytes).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
