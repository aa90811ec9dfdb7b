//! Operators of the console: their sessions, what they may do, and the reason that each act has.

use super::check;
use super::script::run;
use crate::{Actor, EntryBody, OperatorId, bounds};

#[test]
fn an_operator_acts_within_a_session_and_with_a_reason() {
    let world = check(
        "
        elsewhere grant promotional 100 by=op:ada => no workspace_not_found
        grant promotional 100 by=op:ada => no unauthenticated
        operator ada => operator ada
        grant promotional 100 by=op:ada why= => no invalid_field reason
        grant promotional 100 by=op:ada why=___ => no invalid_field reason
        grant promotional 100 by=op:bob => no unauthenticated
        grant promotional 100 reason=sorry by=op:ada why=The_outage_of_Monday key=g => granted 100
        grant promotional 100 reason=sorry by=op:ada why=again key=g => replay
        wait 3600s
        grant promotional 100 by=op:ada => no unauthenticated
        ",
    );
    let (entry, _) = world.journal.last().expect("credit was granted");
    let Actor::Operator(act) = &entry.actor else { panic!("{:?}", entry.actor) };
    assert_eq!((act.operator.as_str(), &*act.reason), ("ada", "The outage of Monday"));
    assert!(matches!(entry.body, EntryBody::Granted { .. }));
}

#[test]
fn a_reason_has_as_many_characters_as_other_texts() {
    let longest = "ä".repeat(bounds::TEXT_MAX_CHARS);
    check(&format!(
        "
        operator ada
        update suspended=true by=op:ada why={longest}ä => no invalid_field reason
        update suspended=true by=op:ada why={longest} => updated
        "
    ));
}

#[test]
fn operators_do_only_what_the_console_does() {
    check(
        "
        operator ada
        grant top_up 3_000 origin=pay_1 paid=30 by=op:ada => granted 3000
        grant adjustment 1_000 by=op:ada => granted 1000
        void g2 by=op:ada => voided g2:1000
        charge message => charged 500 g1:500
        refund c1 by=op:ada => refunded 500 requested g1:500
        update suspended=true by=op:ada => updated
        update suspended=true by=op:ada => unchanged
        update suspended=false by=op:ada => updated
        top_up 2_500
        confirm t1 by=op:ada => granted 2500000, paid
        send_back t1 100 by=op:ada

        charge message by=op:ada => no forbidden
        fail c1 system by=op:ada => no forbidden
        update name=Other by=op:ada => no forbidden
        update suspended=true name=Other by=op:ada => no forbidden
        limits workspace/day=1 by=op:ada => no forbidden
        join bob admin by=op:ada => no forbidden
        new_key settle by=op:ada => no forbidden
        top_up 100 by=op:ada => no forbidden
        prices a=1 by=op:ada => no forbidden
        operator bob by=op:ada => no forbidden
        operator_out all by=op:ada => no forbidden
        platform_key 7 by=op:ada => no forbidden
        ",
    );
}

#[test]
fn a_session_ends_when_it_expires_or_is_ended() {
    let world = check(
        "
        operator ada expires=0 => no invalid_field valid_for_seconds
        operator ada expires=86_401 => no invalid_field valid_for_seconds
        operator ada expires=60 secret=1 => operator ada
        operator ada expires=600 secret=2 => operator ada
        operator bob expires=86_400 secret=3 => operator bob
        wait 60s
        grant promotional 1 by=op:ada => granted 1
        operator_out 2 => operator out
        operator_out 9 => unchanged
        grant promotional 1 by=op:ada => no unauthenticated
        grant promotional 1 by=op:bob => granted 1
        operator_out all => operators out
        operator_out all => unchanged
        grant promotional 1 by=op:bob => no unauthenticated
        operator eve
        operator eve by=k1 => no unauthenticated
        operator eve by=ada => no unauthenticated
        ",
    );
    let operators = &world.platform.operators;
    assert_eq!(operators.list().len(), 1, "those that were ended have left");
    assert!(operators.find(&[1; 32], world.now).is_some());
    assert_eq!(operators.find(&[2; 32], world.now), None);
    let end = world.now.plus_seconds(3_600);
    assert_eq!(operators.find(&[1; 32], end), None, "its last instant is over");
}

#[test]
fn the_oldest_session_ends_beyond_the_bound() {
    let mut world = check("operator first secret=9 expires=86_400");
    for _ in 0..bounds::OPERATOR_SESSIONS_MAX {
        assert_eq!(run(&mut world, "operator many"), "operator many");
    }
    let operators = &world.platform.operators;
    assert_eq!(operators.list().len(), bounds::OPERATOR_SESSIONS_MAX);
    let first = OperatorId::new("first").expect("a name");
    assert!(!operators.has(&first, world.now), "the oldest has ended");
    run(&mut world, "wait 3600s");
    run(&mut world, "operator late");
    assert_eq!(world.platform.operators.list().len(), 1, "those that expired have left");
}
