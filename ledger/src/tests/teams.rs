//! Teams: members, API keys and sessions, and what they may no longer do after they were removed.

use super::check;

#[test]
fn members_are_added_changed_and_removed() {
    check(
        "
        join ada admin => member.added
        join ada member => no member_exists
        join bob member => member.added
        change bob role=admin => member.changed
        change bob role=admin => unchanged
        change eve role=admin => no member_not_found
        leave eve => no member_not_found
        team => ada admin, bob admin
        leave ada => member.removed
        team => bob admin
        elsewhere join ada admin => no workspace_not_found
        ",
    );
}

#[test]
fn the_last_admin_can_neither_leave_nor_be_demoted() {
    check(
        "
        join ada admin
        join bob member
        leave ada => no last_admin
        change ada role=member => no last_admin
        change ada name=Augusta => member.changed
        leave bob => member.removed
        join bob admin
        change ada role=member => member.changed
        leave bob => no last_admin
        leave ada => member.removed
        ",
    );
}

#[test]
fn the_texts_of_a_member_are_erased_once_also_after_the_member_left() {
    check(
        "
        erase ada => no member_not_found
        join ada admin
        join bob member
        change bob name=Robert => member.changed
        change bob name=Robert => unchanged
        erase bob => member.erased
        erase bob => unchanged
        team => ada admin, bob member
        change bob name=Bobby => member.changed
        leave bob
        erase bob => member.erased
        erase bob => unchanged
        erase eve => no member_not_found
        erase ada by=bob => no unauthenticated
        elsewhere erase ada => no workspace_not_found
        ",
    );
}

#[test]
fn a_key_is_created_used_and_revoked() {
    check(
        "
        grant promotional 10_000
        new_key charge,read
        charge message by=k1 => charged 500 g1:500
        note k1 => api_key.used
        wait 59m
        note k1 => unchanged
        wait 1m
        note k1 by=k1 => api_key.used
        team => k1 charge+read used in 0s
        revoke k1 => api_key.revoked
        revoke k1 => no api_key_not_found
        note k1 => no api_key_not_found
        charge message by=k1 => no unauthenticated
        new_key nothing => no invalid_field scopes
        new_key read expires=0 => no invalid_field expires_at
        ",
    );
}

#[test]
fn a_key_is_valid_until_it_expires() {
    check(
        "
        grant promotional 10_000
        new_key charge expires=60
        wait 59s
        charge message by=k1 key=a
        wait 1s
        charge message by=k1 => no unauthenticated
        charge message by=k1 key=a => no unauthenticated
        charge message key=a => replay
        ",
    );
}

#[test]
fn a_tied_key_acts_only_for_its_member_and_worker() {
    check(
        "
        grant promotional 100_000
        new_key charge member=ada
        new_key charge worker=w
        new_key charge member=ada worker=w
        charge message member=ada by=k1
        charge message member=ada worker=w await by=k3
        charge message by=k1 => no forbidden
        charge message member=bob by=k1 => no forbidden
        charge message worker=v by=k2 => no forbidden
        charge message member=ada by=k3 => no forbidden
        charge message member=bob await => charged 500 g1:500 due in 900s
        fail c3 system by=k1 => no forbidden
        heartbeat c3 9_999 by=k2 => no forbidden
        succeed c2 by=k1 => settled 500
        succeed c2 by=k2 => unchanged
        fail c1 user by=k2 => no forbidden
        fail c1 user by=k1 => settled 0
        new_key manage member=ada
        new_key charge by=k4 => no forbidden
        new_key charge member=bob by=k4 => no forbidden
        new_key charge member=ada worker=w by=k4 => api_key.created
        ",
    );
}

#[test]
fn only_the_platform_and_a_key_with_settle_give_back_credit() {
    check(
        "
        grant promotional 100_000
        join ada admin
        new_key charge
        new_key settle
        new_key charge,read,manage
        charge message await by=k1
        fail c1 system by=k1 => no forbidden
        fail c1 system by=k3 => no forbidden
        fail c1 system by=ada => no forbidden
        refund c1 by=k2 => no forbidden
        refund c1 by=ada => no forbidden
        time_out c1 by=k2 => no forbidden
        heartbeat c1 9_999 by=k2 => no forbidden
        succeed c1 by=k2 => no forbidden
        fail c1 user by=k2 => no forbidden
        fail c1 system by=k2 => refunded 500 failed_system g1:500
        fail c1 system by=k2 => unchanged
        fail c1 system by=k1 => no forbidden
        ",
    );
}

#[test]
fn of_a_charge_that_is_left_to_the_platform_no_caller_reports_how_much_was_used() {
    check(
        "
        grant promotional 100_000
        join ada admin
        new_key charge,read,manage
        new_key settle
        new_key charge,settle
        charge message x10 await by_platform by=k1
        succeed c1 x1 by=k1 => no forbidden
        succeed c1 by=k1 => no forbidden
        succeed c1 x1 by=ada => no forbidden
        fail c1 user by=k1 => no forbidden
        heartbeat c1 9_999 by=k1 => no forbidden
        succeed c1 x1 by=k2 => no forbidden
        succeed c1 x9 by=k3 => refunded 500 partly_used g1:500, settled 4500
        succeed c1 x9 by=k1 => no forbidden
        charge message x10 by_platform by=k1
        succeed c2 by=k1 => no forbidden
        ",
    );
}

#[test]
fn only_the_platform_refunds_a_settled_charge() {
    check(
        "
        grant promotional 100_000
        new_key charge
        new_key settle
        new_key charge,settle
        charge message await by=k1
        succeed c1 by=k1 => settled 500
        charge message by=k1
        fail c1 system by=k2 => no forbidden
        fail c1 system by=k3 => no forbidden
        fail c2 system by=k3 => no forbidden
        fail c1 system => refunded 500 failed_system g1:500
        fail c1 system by=k3 => unchanged
        refund c2 200
        fail c2 system by=k3 => no forbidden
        ",
    );
}

#[test]
fn only_the_platform_creates_a_key_with_settle() {
    check(
        "
        join ada admin
        new_key manage
        new_key charge,settle,read,manage
        new_key settle by=k1 => no forbidden
        new_key charge,settle by=k2 => no forbidden
        new_key settle by=ada => no forbidden
        new_key charge,read,manage by=k2 => api_key.created
        new_key settle => api_key.created
        ",
    );
}

#[test]
fn a_link_signs_in_once_and_the_session_ends() {
    check(
        "
        join ada admin
        join bob member
        link eve => no member_not_found
        link bob => portal.link_made
        sign_in l1 by=bob => portal.signed_in
        sign_in l1 by=bob => no portal_link_expired
        team => ada admin, bob member, session l1 bob
        link bob expires=60
        wait 60s
        sign_in l2 => no portal_link_expired
        link ada
        sign_in l3 by=bob => no forbidden
        sign_in l3 by=ada
        sign_out l3 by=bob => no forbidden
        sign_out l3 by=ada
        sign_out l1 by=bob => portal.signed_out
        sign_out l1 by=bob => unchanged
        link ada
        link bob
        sign_in l4
        sign_out_all by=bob => no forbidden
        sign_out_all eve => no member_not_found
        sign_out_all bob => portal.all_signed_out
        team => ada admin, bob member, session l4 ada
        link ada
        sign_out_all by=ada => portal.all_signed_out
        sign_out_all => unchanged
        team => ada admin, bob member
        ",
    );
}

#[test]
fn links_and_sessions_expire_by_the_servers_clock() {
    check(
        "
        join ada admin
        back 3h
        link ada
        wait 599s
        sign_in l1 by=ada => portal.signed_in
        team => ada admin, session l1 ada
        link ada
        wait 600s
        sign_in l2 by=ada => no portal_link_expired
        link ada
        team => ada admin, link l3 ada, session l1 ada
        wait 3_000s
        link ada
        team => ada admin, link l4 ada
        ",
    );
}

#[test]
fn expired_sessions_are_removed() {
    check(
        "
        join ada admin
        link ada
        link ada
        sign_in l1 expires=60
        wait 1h
        link ada
        team => ada admin, link l3 ada
        ",
    );
}

#[test]
fn a_removed_member_loses_keys_and_sessions() {
    check(
        "
        grant promotional 10_000
        join ada admin
        join bob admin
        new_key charge member=bob
        new_key charge
        link bob
        link bob
        sign_in l1
        leave bob
        team => ada admin, k2 charge
        charge message member=bob by=k1 => no unauthenticated
        sign_in l2 => no portal_link_expired
        update name=Bobs by=bob => no unauthenticated
        ",
    );
}

#[test]
fn only_admins_change_the_workspace() {
    check(
        "
        join ada admin
        join bob member
        update name=Acme by=bob => no forbidden
        limits workspace/day=1 by=bob => no forbidden
        new_key manage by=bob => no forbidden
        change bob role=admin by=bob => no forbidden
        update name=Acme by=ada => updated
        new_key manage by=ada => api_key.created
        change bob role=admin by=ada => member.changed
        change ada role=member by=bob => member.changed
        update name=Emca by=ada => no forbidden
        update name=Emca by=eve => no unauthenticated
        ",
    );
}

#[test]
fn a_team_has_bounds() {
    let keys = "new_key read\n".repeat(100);
    let links = "link ada\n".repeat(1_001);
    check(&format!("{keys} new_key read => no invalid_field api_keys"));
    check(&format!(
        "join ada admin\n{links} sign_in l1 => no portal_link_expired\nsign_in l2 => portal.signed_in"
    ));
    let members: String = (0..1_000).map(|n| format!("join m{n} member\n")).collect();
    check(&format!("{members} join ada admin => no invalid_field members"));
}
