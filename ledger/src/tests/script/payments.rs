//! The words of the test scripts about payments: top-ups, cards and their rule, money that
//! goes back.

use super::{Words, index, later, micros, number, subscriptions};
use crate::tests::world::World;
use crate::{
    AutoTopUpChange, AutoTopUpCommand, Card, CardCommand, Customer, Id, PaymentChange, PaymentCommand,
    PaymentRefundChange, PaymentRefundCommand, PaymentRefundId, Provider, ProviderCall, ProviderChange,
    ProviderCommand, StopReason, TopUp, TopUpBounds, TopUpFailure, TopUpId, TopUpWay,
};

pub(super) fn payment_command(world: &World, words: &Words) -> PaymentCommand {
    let widest = TopUpBounds::WIDEST;
    let min_cents = words.number("min").unwrap_or(widest.min_cents);
    let max_cents = words.number("max").unwrap_or(widest.max_cents);
    let allowed = TopUpBounds { min_cents, max_cents };
    let top_up = || {
        let top_up = world.top_ups.get(index(words.bare[1])).copied();
        top_up.unwrap_or(TopUpId(Id::v7(0, 0, 0)))
    };
    match words.bare[0] {
        "top_up" => {
            PaymentCommand::OpenTopUp { cents: number(words.bare[1]), way: TopUpWay::Manual, allowed }
        }
        "confirm" => PaymentCommand::ConfirmTopUp(top_up()),
        "checkout" => {
            PaymentCommand::OpenTopUp { cents: number(words.bare[1]), way: TopUpWay::Checkout, allowed }
        }
        "placed" => {
            let reference = words.bare[2].into();
            PaymentCommand::Provider(ProviderCommand::PlaceTopUp { top_up: top_up(), reference })
        }
        "paid" => PaymentCommand::Provider(ProviderCommand::SucceedTopUp {
            top_up: top_up(),
            payment: TopUp::provider_payment(Provider::Stripe, words.bare[2]).into(),
            cents: number(words.bare[3]),
            tax_cents: words.number("tax").unwrap_or(0),
        }),
        "renew" => {
            let lost = u32::try_from(number(words.bare[2])).expect("a generation");
            let refund = || world.refunds.get(index(words.bare[1])).copied();
            let call = match words.bare[1].starts_with('r') {
                true => ProviderCall::PaymentRefund(refund().unwrap_or(PaymentRefundId(Id::v7(0, 0, 0)))),
                false => ProviderCall::TopUp(top_up()),
            };
            PaymentCommand::Provider(ProviderCommand::RenewCall { call, lost })
        }
        "expire" => PaymentCommand::ExpireTopUp(top_up()),
        "page_over" => PaymentCommand::Provider(ProviderCommand::ExpireTopUp { top_up: top_up() }),
        "unpaid" => {
            let mut failures = (0..=u8::MAX).filter_map(|code| TopUpFailure::from_code(code).ok());
            let failure = failures.find(|failure| failure.as_str() == words.bare[2]);
            PaymentCommand::FailTopUp { top_up: top_up(), failure: failure.expect("a reason of a failure") }
        }
        "customer" => {
            let customer = Customer { provider: Provider::Stripe, id: words.bare[1].into() };
            PaymentCommand::Card(CardCommand::LinkCustomer { customer, replaces: words.boxed("replaces") })
        }
        "card" => PaymentCommand::Card(CardCommand::SaveCard(card(words.bare[1]))),
        "no_card" => {
            let id = words.bare.get(1).map(|id| (*id).into());
            PaymentCommand::Card(CardCommand::RemoveCard { id })
        }
        "rule" => PaymentCommand::AutoTopUp(AutoTopUpCommand::Set {
            threshold: micros(words.bare[1]),
            cents: number(words.bare[2]),
            monthly_cap_cents: number(words.bare[3]),
            allowed,
        }),
        "stop" => {
            let why = words.bare.get(1).unwrap_or(&"requested");
            let mut reasons = (0..=u8::MAX).filter_map(|code| StopReason::from_code(code).ok());
            let why = reasons.find(|reason| reason.as_str() == *why).expect("a reason to stop");
            PaymentCommand::AutoTopUp(AutoTopUpCommand::Stop { why })
        }
        "buy" => PaymentCommand::AutoTopUp(AutoTopUpCommand::OpenIfLow),
        other => panic!("{other} is not a command about payments"),
    }
}

pub(super) fn payment_refund(world: &World, words: &Words) -> PaymentRefundCommand {
    let top_up = || world.top_ups.get(index(words.bare[1])).copied().unwrap_or(TopUpId(Id::v7(0, 0, 0)));
    let refund =
        || world.refunds.get(index(words.bare[1])).copied().unwrap_or(PaymentRefundId(Id::v7(0, 0, 0)));
    match words.bare[0] {
        "loss" => PaymentRefundCommand::ReportLoss {
            payment: paid_name(world, words.bare[1]),
            elsewhere_cents: number(words.bare[2]),
            disputed_cents: words.number("disputed").unwrap_or(0),
            evidence: words.text("evidence").unwrap_or("dp_1").into(),
        },
        "send_back" => PaymentRefundCommand::Request {
            top_up: top_up(),
            cents: words.bare.get(2).filter(|word| **word != "by_hand").map(|word| number(word)),
            reason: words.text("reason").unwrap_or("asked").into(),
            by_hand: words.bare.contains(&"by_hand"),
        },
        "place" => PaymentRefundCommand::Place { refund: refund(), reference: words.bare[2].into() },
        "sent" => PaymentRefundCommand::Succeed(refund()),
        _ => PaymentRefundCommand::Fail {
            refund: refund(),
            reason: words.text("reason").unwrap_or("account_closed").into(),
        },
    }
}

/// The name of the payment of a top-up, or of a payment for the subscription.
fn paid_name(world: &World, name: &str) -> Box<str> {
    let is_top_up = name.strip_prefix('t').is_some_and(|number| number.parse::<usize>().is_ok());
    if !is_top_up {
        return format!("{}{name}", TopUp::MANUAL).into();
    }
    payment_of(world, world.top_ups.get(index(name)).copied().unwrap_or(TopUpId(Id::v7(0, 0, 0))))
}

/// The payment of a top-up; the name of a confirmed one if it was not paid.
fn payment_of(world: &World, top_up: TopUpId) -> Box<str> {
    let paid =
        world.account.payments.as_deref().and_then(|payments| payments.top_up(top_up)?.payment.clone());
    paid.unwrap_or_else(|| TopUp::manual_payment(top_up).into())
}

/// A card with this id of the provider.
pub(in crate::tests) fn card(id: &str) -> Card {
    Card { id: id.into(), brand: "visa".into(), last4: "4242".into(), expires_month: 12, expires_year: 2_030 }
}

/// What an entry says, in words.
pub(super) fn happened(world: &World, change: &PaymentChange) -> String {
    match change {
        PaymentChange::TopUpOpened { cents, way, .. } => {
            let how = if *way == TopUpWay::Manual { "".to_owned() } else { format!("{} ", way.as_str()) };
            format!("{how}top-up of {cents} cents")
        }
        PaymentChange::TopUpSucceeded { tax_cents: 0, .. } => "paid".to_owned(),
        PaymentChange::TopUpSucceeded { tax_cents, .. } => format!("paid with {tax_cents} tax"),
        PaymentChange::Provider(ProviderChange::TopUpPlaced { reference, .. }) => {
            format!("placed {reference}")
        }
        PaymentChange::Provider(ProviderChange::CallRenewed { generation, .. }) => {
            format!("call {generation}")
        }
        PaymentChange::TopUpExpired(_) => "expired".to_owned(),
        PaymentChange::TopUpFailed { failure, .. } => failure.as_str().to_owned(),
        PaymentChange::Card(change) => change.kind().as_str().to_owned(),
        PaymentChange::AutoTopUp(AutoTopUpChange::Paused { until }) => {
            format!("paused until {}", later(*until, world.now))
        }
        PaymentChange::AutoTopUp(AutoTopUpChange::Stopped { why }) => {
            format!("stopped: {}", why.as_str())
        }
        PaymentChange::AutoTopUp(AutoTopUpChange::Set { .. }) => "set".to_owned(),
        PaymentChange::Refund(change) => match change {
            PaymentRefundChange::Lost { elsewhere_cents, .. } => format!("lost {elsewhere_cents} cents"),
            PaymentRefundChange::Requested { cents, .. } => format!("{cents} cents back"),
            PaymentRefundChange::Placed { .. } => "placed".to_owned(),
            PaymentRefundChange::Succeeded { .. } => "sent".to_owned(),
            PaymentRefundChange::Failed { .. } => "bounced".to_owned(),
        },
        PaymentChange::Subscription(change) => subscriptions::happened(change),
    }
}
