//! What is said of a workspace, and that saying it again changes nothing.

use super::check;

#[test]
fn a_workspace_is_opened_once_and_described_anew() {
    let world = check(
        "
        create name=Acme => no workspace_exists
        update name=Acme timezone=Europe/Berlin => updated
        update name=Acme => unchanged
        update => unchanged
        update metadata={} suspended=true => updated
        ",
    );
    let profile = &world.account.profile;
    assert_eq!((&*profile.name, &*profile.timezone), ("Acme", "Europe/Berlin"));
    assert_eq!((profile.metadata.as_deref(), profile.suspended), (Some("{}"), true));
    assert_eq!(profile.created_at, super::world::BEGINNING);
}

#[test]
fn suspension_refuses_charges_and_nothing_else() {
    check(
        "
        update suspended=true
        grant promotional 1_000 => granted 1000
        charge message => no workspace_suspended
        update suspended=false
        charge message => charged 500 g1:500
        update suspended=true
        refund c1 => refunded 500 requested g1:500
        void g1 => voided g1:1000
        ",
    );
}
