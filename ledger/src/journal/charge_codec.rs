//! The bytes of what entries say about charges: how one was opened, settled and refunded.
//!
//! A charge of one whole price, whose caller reports the outcome, has the same bytes as in versions
//! before meters: what is newer is in flags, and in bytes at the end. The other parts of an entry
//! are in `entry_codec`.

use super::codec::{Malformed, Reader, Writer};
use super::entry_codec::{read_draws, read_windows, write_draws, write_windows};
use crate::prices::price_book::read_seconds;
use crate::{
    ChargeDetails, ChargeId, ChargeState, MetersUsed, Micros, Outcome, Price, Quantity, Refund, RefundReason,
    Settlement, Spender, Status, Timestamp,
};

/// In the byte of flags: an outcome was asked for.
const AWAITS: u8 = 1;

/// In the byte of flags: the price is not one for a single unit. The price and the quantity are at
/// the end then.
const IS_METERED: u8 = 2;

/// In the byte of flags: only the platform reports the outcome.
const BY_PLATFORM: u8 = 4;

pub(super) fn write_details(w: &mut Writer, details: &ChargeDetails) {
    let ChargeDetails {
        id,
        spender,
        quantity,
        price,
        amount,
        price_version,
        reference,
        metadata,
        await_outcome,
        outcome_by_platform,
        timeout_seconds,
        deadline,
        draws,
        windows,
    } = details;
    w.id(id.0);
    spender.write(w);
    w.signed(quantity.total());
    w.micros(price.unit_price().unwrap_or(Micros::ZERO));
    w.micros(*amount);
    w.unsigned(u64::from(*price_version));
    w.maybe_text(reference.as_deref());
    w.maybe_text(metadata.as_deref());
    let flag = |is_set, bit| if is_set { bit } else { 0 };
    w.byte(
        flag(*await_outcome, AWAITS)
            | flag(!price.is_plain(), IS_METERED)
            | flag(*outcome_by_platform, BY_PLATFORM),
    );
    w.maybe_signed(timeout_seconds.map(i64::from));
    w.maybe_signed(deadline.map(Timestamp::millis));
    write_draws(w, draws);
    write_windows(w, windows.as_deref());
    if !price.is_plain() {
        price.write_metered(w);
        quantity.write(w);
    }
}

pub(super) fn read_details(r: &mut Reader) -> Result<ChargeDetails, Malformed> {
    let id = ChargeId(r.id("a charge")?);
    let spender = Spender::read(r)?;
    let units = r.signed("a quantity")?;
    let unit_price = r.micros("a unit price")?;
    let amount = r.micros("a charge's amount")?;
    let price_version =
        r.unsigned("a price version")?.try_into().map_err(|_| Malformed("a price version"))?;
    let reference = r.maybe_text("a reference")?.map(Into::into);
    let metadata = r.maybe_text("metadata")?.map(Into::into);
    let flags = r.byte("a charge's flags")?;
    if flags & !(AWAITS | IS_METERED | BY_PLATFORM) != 0 {
        return Err(Malformed("a charge's flags"));
    }
    let timeout_seconds = read_seconds(r)?;
    let deadline = r.maybe_signed("a deadline")?.map(Timestamp::from_millis);
    let draws = read_draws(r)?.into();
    let windows = read_windows(r)?.map(Box::new);
    let (price, quantity) = match flags & IS_METERED {
        0 => (Price::from(unit_price), Quantity::Units(units)),
        _ => (Price::read_metered(r)?, Quantity::read(r)?),
    };
    if quantity.total() != units || price.unit_price().unwrap_or(Micros::ZERO) != unit_price {
        return Err(Malformed("a quantity"));
    }
    Ok(ChargeDetails {
        id,
        spender,
        quantity,
        price,
        amount,
        price_version,
        reference,
        metadata,
        await_outcome: flags & AWAITS != 0,
        outcome_by_platform: flags & BY_PLATFORM != 0,
        timeout_seconds,
        deadline,
        draws,
        windows,
    })
}

/// Added to the code of a status that is followed by the number of refunds. Nearly always there is
/// one refund or none, as the refunded amount says.
const SEVERAL_REFUNDS: u8 = 0x10;

pub(super) fn write_settlement(w: &mut Writer, settlement: &Settlement) {
    let Settlement { charge, opening_entry, amount, detail, state, used } = settlement;
    w.id(charge.0);
    w.unsigned(*opening_entry);
    w.micros(*amount);
    w.maybe_text(detail.as_deref());
    write_state(w, *state);
    // Nothing follows if nothing was metered, as in entries of versions before meters.
    if let Some(used) = used {
        used.spender.write(w);
        Quantity::Meters(used.quantities.clone()).write(w);
    }
}

pub(super) fn read_settlement(r: &mut Reader) -> Result<Settlement, Malformed> {
    Ok(Settlement {
        charge: ChargeId(r.id("a charge")?),
        opening_entry: r.unsigned("a charge")?,
        amount: r.micros("a settlement")?,
        detail: r.maybe_text("a detail")?.map(Into::into),
        state: read_state(r)?,
        used: if r.is_at_end() { None } else { Some(Box::new(read_meters_used(r)?)) },
    })
}

fn read_meters_used(r: &mut Reader) -> Result<MetersUsed, Malformed> {
    let spender = Spender::read(r)?;
    match Quantity::read(r)? {
        Quantity::Meters(quantities) => Ok(MetersUsed { spender, quantities }),
        Quantity::Units(_) => Err(Malformed("what was used of meters")),
    }
}

pub(super) fn write_state(w: &mut Writer, state: ChargeState) {
    let ChargeState { status, outcome, refunded, refunds, .. } = state;
    let several = refunds > 1;
    assert!(!several || refunded > Micros::ZERO, "i05: several refunds must have returned credit");
    w.byte(status.code() | if several { SEVERAL_REFUNDS } else { 0 });
    if several {
        w.unsigned(u64::from(refunds));
    }
    w.byte(outcome.map_or(0, Outcome::code));
    w.micros(refunded);
    w.signed(state.quantity);
    w.maybe_signed(state.deadline.map(Timestamp::millis));
}

pub(super) fn read_state(r: &mut Reader) -> Result<ChargeState, Malformed> {
    let code = r.byte("a charge's status")?;
    let several = match code & SEVERAL_REFUNDS {
        0 => None,
        _ => Some(u32::try_from(r.unsigned("refunds")?).map_err(|_| Malformed("refunds"))?),
    };
    let outcome = match r.byte("a charge's outcome")? {
        0 => None,
        code => Some(Outcome::from_code(code)?),
    };
    let refunded = r.micros("what was refunded")?;
    let refunds = several.unwrap_or(u32::from(refunded > Micros::ZERO));
    if several.is_some_and(|several| several < 2) || (refunds > 0) != (refunded > Micros::ZERO) {
        return Err(Malformed("refunds"));
    }
    Ok(ChargeState {
        status: Status::from_code(code & !SEVERAL_REFUNDS)?,
        outcome,
        refunded,
        refunds,
        quantity: r.signed("a quantity")?,
        deadline: r.maybe_signed("a deadline")?.map(Timestamp::from_millis),
    })
}

pub(super) fn write_refund(w: &mut Writer, refund: &Refund) {
    let Refund {
        charge,
        opening_entry,
        amount,
        reason,
        detail,
        requested,
        from_pending,
        returns,
        taken,
        state,
        spender,
        windows,
        used,
    } = refund;
    w.id(charge.0);
    w.unsigned(*opening_entry);
    w.micros(*amount);
    w.byte(reason.code());
    w.maybe_text(detail.as_deref());
    w.maybe_signed(requested.map(Micros::get));
    w.flag(*from_pending);
    write_draws(w, returns);
    w.micros(*taken);
    write_state(w, *state);
    spender.write(w);
    write_windows(w, windows.as_ref());
    if let Some(used) = used {
        used.write(w);
    }
}

pub(super) fn read_refund(r: &mut Reader) -> Result<Refund, Malformed> {
    Ok(Refund {
        charge: ChargeId(r.id("a charge")?),
        opening_entry: r.unsigned("a charge")?,
        amount: r.micros("a refund")?,
        reason: RefundReason::from_code(r.byte("a refund's reason")?)?,
        detail: r.maybe_text("a detail")?.map(Into::into),
        requested: r.maybe_signed("a refund")?.map(Micros::new),
        from_pending: r.flag("from pending")?,
        returns: read_draws(r)?,
        taken: r.micros("what is taken of a refund")?,
        state: read_state(r)?,
        spender: Spender::read(r)?,
        windows: read_windows(r)?,
        used: if r.is_at_end() { None } else { Some(Box::new(Quantity::read(r)?)) },
    })
}
