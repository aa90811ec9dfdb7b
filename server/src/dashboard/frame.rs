//! The frame of every page: the language of its reader, the navigation, and the figures that stand
//! above all pages of a member.
//!
//! A reader has the language of the link that signed them in, or of their own choice, which are in
//! a cookie; else the one that the browser asks for.

use axum::http::header::{ACCEPT_LANGUAGE, COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use tollkeeper_engine::{Engine, Reads};
use tollkeeper_ledger::{Balance, Profile, Role, Timestamp, WorkspaceId};

use super::page::signed_in;
use super::words::{FrameWords, Words};
use crate::access::SignedIn;
use crate::app::App;
use crate::http::call::{Call, existing};
use crate::http::problem::Problem;
use crate::language::{Format, Language};
use crate::reports::local_time::zone;
use crate::reports::usage::UsageSource;
use crate::theme::Assets;

/// The name of the cookie with the language.
const LANGUAGE_COOKIE: &str = "tollkeeper_language";

/// How long a browser keeps the language: a year.
const LANGUAGE_SECONDS: u32 = 365 * 24 * 3_600;

/// A page of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    /// Today's balance and use.
    Overview,
    /// The use of a range.
    Usage,
    /// The charges.
    Charges,
    /// Warnings, and who gets them.
    Alerts,
    /// Spending limits.
    Limits,
    /// Members.
    Team,
    /// API keys.
    ApiKeys,
    /// The journal.
    Activity,
    /// Adding credits, and what was added.
    Credits,
    /// The plan.
    Plan,
    /// No page of the navigation.
    None,
}

/// A link of the navigation.
pub struct Link {
    /// Its path.
    pub path: &'static str,
    /// Its text.
    pub label: &'static str,
    /// Whether it is the page that is shown.
    pub is_current: bool,
}

/// What every page shows around its content.
pub struct Frame<'a> {
    pub language: Language,
    pub words: &'static FrameWords,
    pub assets: &'a Assets,
    /// The member who is signed in.
    pub reader: Option<Reader<'a>>,
    tab: Tab,
}

/// What a page shows of the member who is signed in.
pub struct Reader<'a> {
    /// The id of the workspace.
    pub id: &'a str,
    /// The name of the workspace.
    pub workspace: &'a str,
    /// "Signed in as Ada".
    pub greeting: String,
    pub is_admin: bool,
    /// The available credit in dollars.
    pub usd: String,
    /// The same in micro-units.
    pub credits: String,
    pub form_token: &'a str,
    /// The page of the platform's product that the pages lead back to.
    pub return_url: Option<&'a str>,
    /// Whether an operator looks at the pages, who changes nothing.
    pub is_viewer: bool,
}

/// The language of a browser.
pub fn language_of(headers: &HeaderMap) -> Language {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let chosen = pairs.find(|(name, _)| *name == LANGUAGE_COOKIE);
    chosen.and_then(|(_, tag)| Language::of_tag(tag)).unwrap_or_else(|| {
        let asked = headers.get(ACCEPT_LANGUAGE).and_then(|header| header.to_str().ok());
        asked.map_or_else(Language::default, Language::negotiate)
    })
}

/// The `Set-Cookie` header that keeps a language. It holds no secret; scripts need not read it.
pub fn keep_language(language: Language, is_secure: bool) -> HeaderValue {
    let secure = if is_secure { "; Secure" } else { "" };
    let tag = language.tag();
    let text = format!(
        "{LANGUAGE_COOKIE}={tag}; Path=/; Max-Age={LANGUAGE_SECONDS}; HttpOnly; SameSite=Lax{secure}"
    );
    HeaderValue::try_from(text).expect("a tag and numbers are ASCII")
}

impl<'a> Frame<'a> {
    /// The frame of a page that needs no session.
    pub fn public(app: &'a App, headers: &HeaderMap) -> Frame<'a> {
        Frame::in_language(app, language_of(headers))
    }

    /// The same in a given language.
    pub fn in_language(app: &'a App, language: Language) -> Frame<'a> {
        Frame { language, words: &language.words().frame, assets: &app.assets, reader: None, tab: Tab::None }
    }

    /// Every language but the present one.
    pub fn other_languages(&self) -> impl Iterator<Item = Language> {
        let present = self.language;
        Language::ALL.into_iter().filter(move |language| *language != present)
    }

    /// The links of the navigation that the reader may follow.
    pub fn links(&self) -> Vec<Link> {
        let all = [
            (Tab::Overview, "/portal", self.words.overview, Role::Member),
            (Tab::Usage, "/portal/usage", self.words.usage, Role::Member),
            (Tab::Charges, "/portal/charges", self.words.charges, Role::Member),
            (Tab::Credits, "/portal/credits", self.words.credits, Role::Admin),
            (Tab::Plan, "/portal/plan", self.words.plan, Role::Admin),
            (Tab::Alerts, "/portal/alerts", self.words.alerts, Role::Member),
            (Tab::Limits, "/portal/limits", self.words.limits, Role::Member),
            (Tab::Team, "/portal/team", self.words.team, Role::Admin),
            (Tab::ApiKeys, "/portal/api-keys", self.words.api_keys, Role::Member),
            (Tab::Activity, "/portal/activity", self.words.activity, Role::Member),
        ];
        let is_admin = self.reader.as_ref().is_some_and(|reader| reader.is_admin);
        let open = all.into_iter().filter(|(.., role)| is_admin || *role == Role::Member);
        open.map(|(tab, path, label, _)| Link { path, label, is_current: tab == self.tab }).collect()
    }
}

/// A visit of a signed-in member: what all pages need.
pub struct Visit<'c> {
    call: &'c Call,
    pub signed_in: &'c SignedIn,
    pub profile: Profile,
    pub balance: Balance,
    /// How values are written: in the reader's language, in the workspace's time zone.
    pub format: Format,
    /// The name of the member; the id if the name was erased.
    name: Box<str>,
}

impl<'c> Visit<'c> {
    /// Reads what all pages need.
    ///
    /// # Errors
    /// The engine cannot read.
    pub async fn begin(call: &'c Call) -> Result<Visit<'c>, Problem> {
        let signed_in = signed_in(call)?;
        let SignedIn { workspace, member, .. } = signed_in;
        let engine = call.app.engine();
        let profile = existing(workspace, engine.workspace(workspace).await?)?;
        let balance = existing(workspace, engine.balance(workspace, None).await?)?.balance;
        let name = reader_name(call, signed_in).await?;
        let zone = zone(&profile.timezone);
        Ok(Visit {
            call,
            signed_in,
            format: Format { language: language_of(call.headers()), zone },
            profile,
            balance,
            name: name.unwrap_or_else(|| member.id.as_str().into()),
        })
    }

    pub fn workspace(&self) -> &'c WorkspaceId {
        &self.signed_in.workspace
    }

    pub fn engine(&self) -> &'c dyn Engine {
        self.call.app.engine()
    }

    /// The use of the workspace.
    pub fn usage(&self) -> UsageSource<'c> {
        UsageSource::new(self.engine(), self.workspace())
    }

    pub fn now(&self) -> Timestamp {
        self.call.now
    }

    pub fn is_admin(&self) -> bool {
        self.signed_in.member.role == Role::Admin
    }

    /// Whether an operator looks, who changes nothing.
    pub fn is_viewer(&self) -> bool {
        self.signed_in.viewer.is_some()
    }

    /// Whether the reader sees the use of others.
    pub fn sees_others_use(&self) -> bool {
        self.call.app.access.sees_others_use(&self.signed_in.member)
    }

    pub fn words(&self) -> &'static Words {
        self.format.language.words()
    }

    /// The frame of a page.
    pub fn frame(&self, tab: Tab) -> Frame<'_> {
        let words = &self.words().frame;
        let greet = match (self.is_viewer(), self.is_admin()) {
            (true, _) => words.viewer,
            (false, true) => words.signed_in_as_admin,
            (false, false) => words.signed_in_as,
        };
        let available = self.balance.available;
        Frame {
            language: self.format.language,
            words,
            assets: &self.call.app.assets,
            reader: Some(Reader {
                id: self.workspace().as_str(),
                workspace: &self.profile.name,
                greeting: greet(&self.name),
                is_admin: self.is_admin(),
                usd: self.format.usd(available),
                credits: self.format.number(available.get()),
                form_token: &self.signed_in.form_token,
                return_url: self.signed_in.session.return_url.as_deref(),
                is_viewer: self.is_viewer(),
            }),
            tab,
        }
    }

    /// The time zone of the workspace at an instant, as pages name it: `UTC`, or
    /// `Asia/Kathmandu, UTC+05:45`.
    pub fn zone(&self, at: Timestamp) -> String {
        let (zone, offset) = (&*self.profile.timezone, self.format.offset(at));
        if zone == "UTC" { zone.to_owned() } else { format!("{zone}, {offset}") }
    }

    /// Whom a member asks for what only admins do: "Ask Ada or Lin to change this."
    ///
    /// # Errors
    /// The engine cannot read.
    pub async fn ask_to_change(&self) -> Result<String, Problem> {
        Ok((self.words().frame.ask_to_change)(&self.admins().await?))
    }

    /// Whom a member asks to add credits.
    ///
    /// # Errors
    /// The engine cannot read.
    pub async fn ask_for_credits(&self) -> Result<String, Problem> {
        Ok((self.words().frame.ask_for_credits)(&self.admins().await?))
    }

    /// The names of some admins.
    async fn admins(&self) -> Result<Vec<String>, Problem> {
        let team = self.call.team(self.workspace()).await?;
        let admins: Vec<_> = team.members.iter().filter(|member| member.role == Role::Admin).collect();
        let texts = self.call.personal_texts(self.workspace(), admins.iter().copied()).await?;
        let named = admins.iter().filter_map(|admin| texts.get(&admin.name));
        Ok(named.take(ADMINS_NAMED).map(|name| name.to_string()).collect())
    }
}

/// The name of the reader; `None` if it was erased, or an operator reads, of whom no text is
/// stored.
///
/// # Errors
/// The engine cannot read.
pub async fn reader_name(call: &Call, signed_in: &SignedIn) -> Result<Option<Box<str>>, Problem> {
    let SignedIn { workspace, member, viewer, .. } = signed_in;
    if viewer.is_some() {
        return Ok(None);
    }
    let texts = call.personal_texts(workspace, std::iter::once(member)).await?;
    Ok(texts.get(&member.name).cloned())
}

/// The most admins that a sentence names.
const ADMINS_NAMED: usize = 3;
