//! The profile of a workspace: it is set, changed, and unchanged by a repetition.

use super::check;

#[test]
fn a_workspace_is_created_once_and_its_profile_changed() {
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
fn a_suspended_workspace_is_refused_only_charges() {
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
