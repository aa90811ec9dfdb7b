//! The members of a workspace: role, use in this month, last use. Admins change roles and end
//! sessions. People are invited by the platform, not here.

use std::collections::HashMap;

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use jiff::civil::Date;
use tollkeeper_engine::{GroupBy, TimeStep, UsageFilter, UsageRequest};
use tollkeeper_ledger::{
    Member, MemberChanges, MemberId, Micros, Role, Team, TeamCommand, Timestamp, UsageSums,
};

use super::confirm::Confirm;
use super::fields::Notice;
use super::frame::{Frame, Tab, Visit};
use super::links::{PageLinks, page_of};
use super::names::Names;
use super::page::{ROOT, page, see_other};
use super::words::TeamWords;
use crate::access::Rule;
use crate::http::call::Call;
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::http::route::Route;
use crate::reports::local_time::{date_of, days_before, start_of};

/// The path of the page.
const PATH: &str = "/portal/team";

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, Rule::SignedIn(Role::Admin), "The members", |call| Box::pin(get(call)))
        .page()
        .parameters(&["done", "page"]),
    Route::new(Method::POST, "/portal/team/role", Rule::SignedIn(Role::Admin), "Change a role", |call| {
        Box::pin(change_role(call))
    })
    .page()
    .redirects()
    .problems(&[Code::MemberNotFound, Code::LastAdmin]),
    Route::new(
        Method::POST,
        "/portal/team/sign-out",
        Rule::SignedIn(Role::Admin),
        "Sign out a member",
        |call| Box::pin(sign_out(call)),
    )
    .page()
    .redirects()
    .problems(&[Code::MemberNotFound]),
];

/// How many days back the last use is looked for.
const LAST_USE_DAYS: u32 = 30;

#[derive(Template)]
#[template(path = "dashboard/team.html")]
struct TeamPage<'a> {
    frame: Frame<'a>,
    words: &'static TeamWords,
    form_token: &'a str,
    notice: Option<Notice>,
    rows: Vec<Row>,
    links: PageLinks,
}

/// A member as the page shows it.
struct Row {
    id: String,
    name: String,
    is_self: bool,
    role: &'static str,
    /// The use in this month; `None` if it could not be read.
    used: Option<String>,
    last: Last,
    /// The role that a button gives, and its text; `None` for the last admin.
    change: Option<(&'static str, &'static str)>,
}

/// When a member last used credit.
enum Last {
    On(String),
    /// Why there is no date.
    Unknown(String),
}

/// The use of members.
struct Uses(HashMap<MemberId, Use>);

/// The use of one member.
#[derive(Clone, Copy)]
struct Use {
    this_month: Micros,
    last: Option<Date>,
}

impl Uses {
    /// The use in this month, and the last day with a charge of the last [`LAST_USE_DAYS`] days;
    /// `None` if the question has no answer.
    ///
    /// # Errors
    /// The engine cannot read.
    async fn read(call: &Call, visit: &Visit<'_>) -> Result<Option<Uses>, Problem> {
        let zone = &visit.format.zone;
        let today = date_of(zone, call.now);
        let month = today.first_of_month();
        let from = month.min(days_before(today, LAST_USE_DAYS));
        let request = UsageRequest {
            from: start_of(zone, from),
            to: Timestamp::from_millis(call.now.millis() + 1),
            timezone: Some(visit.profile.timezone.clone()),
            group_by: GroupBy { time: Some(TimeStep::Day), member: true, ..GroupBy::default() },
            filter: UsageFilter::default(),
        };
        let report = match visit.usage().report(request).await {
            Ok(report) => report,
            Err(problem) if problem.code.status() < 500 => return Ok(None),
            Err(problem) => return Err(problem),
        };
        let mut uses: HashMap<MemberId, Use> = HashMap::new();
        for (group, UsageSums { runs, charged, refunded, .. }) in report.rows {
            let (Some(member), Some(time)) = (group.member, group.time) else { continue };
            let day = date_of(zone, time);
            let net = if day >= month { charged - refunded } else { Micros::ZERO };
            let found = uses.entry(member).or_insert(Use { this_month: Micros::ZERO, last: None });
            found.this_month += net;
            if runs > 0 {
                found.last = found.last.max(Some(day));
            }
        }
        Ok(Some(Uses(uses)))
    }

    fn of(&self, member: &MemberId) -> Use {
        self.0.get(member).copied().unwrap_or(Use { this_month: Micros::ZERO, last: None })
    }
}

/// Whether a member is the only admin.
fn is_last_admin(team: &Team, member: &Member) -> bool {
    let admins = team.members.iter().filter(|member| member.role == Role::Admin);
    member.role == Role::Admin && admins.count() == 1
}

/// `GET /portal/team`.
async fn get(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().team;
    let notice = match call.query().get("done") {
        Some("role") => Some(Notice::done(words.changed)),
        Some("signed-out") => Some(Notice::done(words.signed_out)),
        _ => None,
    };
    let team = call.team(visit.workspace()).await?;
    let uses = Uses::read(&call, &visit).await?;
    // The newest member comes first.
    let members: Vec<&Member> = team.members.iter().rev().collect();
    let (members, links) = page_of(members, &call, PATH);
    let is_shown = |id: &MemberId| members.iter().any(|member| member.id == *id);
    let names = Names::read(&call, visit.workspace(), &team, is_shown).await?;
    let rows = members.iter().map(|member| row(&visit, &team, &names, uses.as_ref(), member)).collect();
    let shown = TeamPage {
        frame: visit.frame(Tab::Team),
        words,
        form_token: &visit.signed_in.form_token,
        notice,
        rows,
        links,
    };
    Ok(page(StatusCode::OK, &shown))
}

fn row(visit: &Visit<'_>, team: &Team, names: &Names, uses: Option<&Uses>, member: &Member) -> Row {
    let (words, format) = (&visit.words().team, &visit.format);
    let name = names.member(&member.id);
    let found = uses.map(|uses| uses.of(&member.id));
    let change = match member.role {
        Role::Admin => (Role::Member.as_str(), words.make_member),
        Role::Member => (Role::Admin.as_str(), words.make_admin),
    };
    Row {
        id: member.id.to_string(),
        is_self: member.id == visit.signed_in.member.id,
        role: role_name(words, member.role),
        used: found.map(|found| format.usd(found.this_month)),
        last: match found {
            None => Last::Unknown(words.use_unknown.to_owned()),
            Some(Use { last: None, .. }) => Last::Unknown((words.not_used)(LAST_USE_DAYS)),
            Some(Use { last: Some(last), .. }) => Last::On(format.date(last)),
        },
        change: (!is_last_admin(team, member)).then_some(change),
        name: name.to_owned(),
    }
}

fn role_name(words: &TeamWords, role: Role) -> &'static str {
    match role {
        Role::Admin => words.admin,
        Role::Member => words.member,
    }
}

/// The member that a form names.
fn member_of<'t>(call: &Call, team: &'t Team) -> Result<&'t Member, Problem> {
    let id = call.form().get("member").and_then(|id| MemberId::new(id).ok());
    id.and_then(|id| team.member(&id)).ok_or_else(refusal::member_not_found)
}

/// `POST /portal/team/role`. Without `confirmed` it asks once more.
async fn change_role(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().team;
    let team = call.team(visit.workspace()).await?;
    let member = member_of(&call, &team)?;
    let role = call.form().get("role").and_then(Role::named);
    let role = role.ok_or_else(|| Problem::field("role", "must be `admin` or `member`"))?;
    let is_self = member.id == visit.signed_in.member.id;
    let demotes_last = role == Role::Member && is_last_admin(&team, member);
    if demotes_last || call.form().get("confirmed").is_none() {
        let names = Names::read(&call, visit.workspace(), &team, |id| *id == member.id).await?;
        let name = names.member(&member.id);
        let (title, text, button) = match role {
            Role::Admin => {
                ((words.confirm_admin)(name), words.confirm_admin_text, (words.make_admin_of)(name))
            }
            Role::Member => {
                ((words.confirm_member)(name), words.confirm_member_text, (words.make_member_of)(name))
            }
        };
        let text = match (demotes_last, is_self) {
            (true, _) => words.last_admin,
            (false, true) => words.confirm_self_text,
            (false, false) => text,
        };
        let confirm = Confirm {
            frame: visit.frame(Tab::Team),
            title,
            error: "",
            lines: vec![text.to_owned()],
            facts: vec![
                (words.role_now, role_name(words, member.role).to_owned()),
                (words.role_then, role_name(words, role).to_owned()),
            ],
            action: "/portal/team/role",
            fields: vec![("member", member.id.to_string()), ("role", role.as_str().to_owned())],
            button: if demotes_last { String::new() } else { button },
            is_danger: true,
            back: PATH,
            back_text: visit.words().frame.cancel,
        };
        return Ok(confirm.respond(if demotes_last { StatusCode::CONFLICT } else { StatusCode::OK }));
    }
    let changes = MemberChanges { role: Some(role), ..MemberChanges::default() };
    let command = TeamCommand::ChangeMember(member.id.clone(), Box::new(changes));
    call.run_team(visit.workspace(), command).await?;
    // A member does not see the page.
    let loses_page = is_self && role == Role::Member;
    Ok(if loses_page { see_other(ROOT) } else { see_other(&format!("{PATH}?done=role")) })
}

/// `POST /portal/team/sign-out`. It ends all sessions and links of one member.
async fn sign_out(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let team = call.team(visit.workspace()).await?;
    let member = member_of(&call, &team)?.id.clone();
    call.run_team(visit.workspace(), TeamCommand::SignOutAll(Some(member))).await?;
    Ok(see_other(&format!("{PATH}?done=signed-out")))
}
