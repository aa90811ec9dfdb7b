//! What is kept of a subscriber: notes, bounds, and its stored bytes.

use super::*;

fn place(n: u64) -> JournalPlace {
    JournalPlace { workspace: WorkspaceId::platform(), n, seq: n + 7, hash: [n as u8; 32] }
}

fn exception(n: u64, next_at: Option<i64>) -> DeliveryException {
    DeliveryException {
        message: format!("msg_{n}").into(),
        place: place(n),
        attempts: 1,
        first_at: Timestamp::from_millis(3),
        next_at: next_at.map(Timestamp::from_millis),
        outcome: "503".into(),
    }
}

fn attempt(n: u64, at: i64, accepted: bool) -> DeliveryAttempt {
    DeliveryAttempt {
        message: format!("msg_{n}").into(),
        kind: "charge.settled".into(),
        place: place(n),
        at: Timestamp::from_millis(at),
        millis: 12,
        status: accepted.then_some(204),
        accepted,
        outcome: "ok".into(),
    }
}

#[test]
fn a_failure_becomes_an_exception_until_it_is_done() {
    let mut state = SubscriberState::default();
    let notes = DeliveryNotes {
        exceptions: vec![exception(1, Some(9)), exception(2, Some(9))],
        attempts: vec![attempt(1, 5, false), attempt(2, 6, false)],
        ..DeliveryNotes::default()
    };
    state.apply(&notes);
    assert_eq!((state.waiting().count(), state.failing_since), (2, Some(Timestamp::from_millis(5))));
    state.apply(&DeliveryNotes {
        exceptions: vec![exception(2, None)],
        done: vec!["msg_1".into()],
        attempts: vec![attempt(1, 7, true)],
        ..DeliveryNotes::default()
    });
    assert_eq!((state.waiting().count(), state.exceptions.len(), state.failing_since), (0, 1, None));
    assert_eq!(state.accepted_at, Some(Timestamp::from_millis(7)));
}

#[test]
fn what_is_kept_is_bounded_and_a_subscriber_with_many_exceptions_is_down() {
    let mut state = SubscriberState::default();
    for n in 0..EXCEPTIONS_MAX as u64 {
        assert!(!state.is_down());
        state.apply(&DeliveryNotes { exceptions: vec![exception(n, Some(1))], ..DeliveryNotes::default() });
    }
    assert!(state.is_down());
    let again = DeliveryException { attempts: 2, ..exception(7, Some(5)) };
    state.apply(&DeliveryNotes { exceptions: vec![again.clone()], ..DeliveryNotes::default() });
    assert_eq!(state.probe(), Some(&again), "it is tried until it is accepted");
    for n in 0..300 {
        let (exceptions, attempts) = (vec![exception(1_000 + n, None)], vec![attempt(n, 1, false)]);
        state.apply(&DeliveryNotes { exceptions, attempts, ..DeliveryNotes::default() });
    }
    assert_eq!((state.attempts.len(), state.exceptions.len()), (ATTEMPTS_KEPT, 100 + EXCEPTIONS_MAX));
    assert_eq!(state.waiting().count(), EXCEPTIONS_MAX, "none that waits is dropped");
}

#[test]
fn stored_bytes_read_back_and_damage_is_no_panic() {
    let mut state = SubscriberState::default();
    assert_eq!(SubscriberState::decode(&state.encode()), Some(state.clone()));
    state.apply(&DeliveryNotes {
        exceptions: vec![exception(1, Some(9)), exception(2, None)],
        attempts: vec![attempt(1, 5, false), attempt(2, 6, true)],
        ..DeliveryNotes::default()
    });
    let bytes = state.encode();
    assert_eq!(SubscriberState::decode(&bytes).as_ref(), Some(&state));
    for index in 0..bytes.len() {
        assert_eq!(SubscriberState::decode(&bytes[..index]), None, "cut to {index}");
        let mut damaged = bytes.clone();
        damaged[index] ^= 0xff;
        assert_ne!(SubscriberState::decode(&damaged).as_ref(), Some(&state), "byte {index} has no effect");
    }
}

#[test]
fn an_outcome_is_cut_between_characters() {
    let text = "ä".repeat(150);
    assert_eq!(delivery_outcome(&text).len(), 200);
    assert_eq!(&*delivery_outcome("short"), "short");
}
