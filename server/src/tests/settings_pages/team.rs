//! The page about members.

use super::*;

const PATH: &str = "/portal/team";

#[tokio::test]
async fn members_are_shown_with_their_use_to_admins_only() {
    let pages = pages().await;
    pages.charge_for("one", "virtual_try_on", "bob").await;
    let page = pages.see(&pages.ada, PATH).await;
    for shown in ["bob", "$0.20", "23\u{a0}November 2026", "no charge in 30 days", "last admin stays"] {
        assert!(page.contains(shown), "{shown} is not in {page}");
    }
    let of = |button: &str, name: &str| format!("{button}<span class=\"unseen\">: {name}</span>");
    assert!(page.contains(&of("Make admin", "bob")) && page.contains(&of("Sign out", "bob")), "{page}");
    assert!(!page.contains(&of("Sign out", "ada")) && page.contains("Sign out all members"), "{page}");
    assert_eq!(pages.world.browse("GET", PATH, &pages.bob).await.status, 403);
    for path in ["/portal/team/role", "/portal/team/sign-out"] {
        let form = [("member", "bob"), ("role", "admin"), ("confirmed", "yes")];
        assert_eq!(pages.submit(&pages.bob, path, &form).await.status, 403, "{path}");
    }
    assert!(!pages.see(&pages.bob, "/portal").await.contains(PATH), "a member finds no link");
}

#[tokio::test]
async fn the_use_is_that_of_this_month() {
    let pages = pages().await;
    pages.charge_for("one", "virtual_try_on", "bob").await;
    pages.world.pass_seconds(10 * 86_400);
    pages.charge_for("two", "product_listing", "bob").await;
    let ada = pages.world.sign_in("acme", "ada").await;
    let page = pages.see(&ada, PATH).await;
    assert!(page.contains("$0.05") && !page.contains("$0.25"), "only December counts: {page}");
    assert!(page.contains("3\u{a0}December 2026"), "{page}");
}

#[tokio::test]
async fn a_role_is_changed_after_it_was_confirmed() {
    let pages = pages().await;
    let role = |member: &'static str, role: &'static str| [("member", member), ("role", role)];
    let asked = pages.submit(&pages.ada, "/portal/team/role", &role("bob", "admin")).await;
    assert_eq!(asked.status, 200, "{}", asked.text);
    assert!(asked.text.contains("<h1>Make bob an admin?</h1>"), "{}", asked.text);
    assert!(asked.text.contains("name=\"confirmed\" value=\"yes\""), "{}", asked.text);
    let roles = async || {
        let list = pages.world.get("/v1/workspaces/acme/members").await.json();
        let rows = list["data"].as_array().expect("rows").clone();
        rows.iter().map(|row| row["role"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(roles().await, ["member", "admin"], "asking changes nothing");
    let confirmed =
        |who: &'static str, to: &'static str| [("member", who), ("role", to), ("confirmed", "yes")];
    for _ in 0..2 {
        let target = pages.accepted("/portal/team/role", &confirmed("bob", "admin")).await;
        assert_eq!(target, "/portal/team?done=role");
    }
    assert_eq!(roles().await, ["admin", "admin"]);
    let target = pages.accepted("/portal/team/role", &confirmed("ada", "member")).await;
    assert_eq!(target, "/portal", "who is no admin does not see the page");
    assert_eq!(pages.world.browse("GET", PATH, &pages.ada).await.status, 403);
    for form in [role("bob", "member").as_slice(), &confirmed("bob", "member")] {
        let refused = pages.submit(&pages.bob, "/portal/team/role", form).await;
        assert_eq!(refused.status, 409, "{}", refused.text);
        assert!(refused.text.contains("The last admin stays one"), "{}", refused.text);
        assert!(!refused.text.contains("name=\"confirmed\""), "{}", refused.text);
    }
    for form in [role("eve", "member").as_slice(), &role("bob", "owner"), &[]] {
        let refused = pages.submit(&pages.bob, "/portal/team/role", form).await;
        assert!(matches!(refused.status, 404 | 422), "{form:?}: {}", refused.text);
    }
}

#[tokio::test]
async fn an_admin_signs_out_a_member_and_everybody() {
    let pages = pages().await;
    let target = pages.accepted("/portal/team/sign-out", &[("member", "bob")]).await;
    assert_eq!(target, "/portal/team?done=signed-out");
    assert_eq!(pages.world.browse("GET", "/portal", &pages.bob).await.status, 401);
    assert_eq!(pages.world.browse("GET", "/portal", &pages.ada).await.status, 200);
    let unknown = pages.submit(&pages.ada, "/portal/team/sign-out", &[("member", "eve")]).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(pages.submit(&pages.ada, "/portal/sign-out-all", &[]).await.status, 200);
    assert_eq!(pages.world.browse("GET", "/portal", &pages.ada).await.status, 401);
}
