//! The frame of the console's pages, and what they all need of the operator.

use jiff::tz::TimeZone;

use super::super::frame::language_of;
use super::super::page::CONSOLE;
use super::super::words::{ConsoleWords, FrameWords, Words};
use crate::access::{Caller, SignedInOperator};
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::refusal;
use crate::language::{Format, Language};
use crate::theme::Assets;

/// A page of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleTab {
    /// The search for a workspace, and a workspace.
    Workspaces,
    /// Payments that fit nothing.
    Payments,
    /// What was not accepted.
    Deliveries,
    /// What is not as it should be.
    State,
}

/// A link of the navigation.
pub struct ConsoleLink {
    pub path: &'static str,
    pub label: &'static str,
    pub is_current: bool,
}

/// What every page of the console shows around its content.
pub struct ConsoleFrame<'a> {
    pub language: Language,
    pub words: &'static FrameWords,
    pub console: &'static ConsoleWords,
    pub assets: &'a Assets,
    /// The id of the operator.
    pub operator: &'a str,
    pub form_token: &'a str,
    tab: ConsoleTab,
}

impl ConsoleFrame<'_> {
    /// Every language but the present one.
    pub fn other_languages(&self) -> impl Iterator<Item = Language> {
        let present = self.language;
        Language::ALL.into_iter().filter(move |language| *language != present)
    }

    /// The links of the navigation.
    pub fn links(&self) -> [ConsoleLink; 4] {
        let link = |tab, path, label| ConsoleLink { path, label, is_current: tab == self.tab };
        [
            link(ConsoleTab::Workspaces, CONSOLE, self.console.workspaces),
            link(ConsoleTab::Payments, "/console/payments", self.console.payments),
            link(ConsoleTab::Deliveries, "/console/deliveries", self.console.deliveries),
            link(ConsoleTab::State, "/console/state", self.console.state),
        ]
    }
}

/// A visit of an operator who is signed in.
pub struct ConsoleVisit<'c> {
    call: &'c Call,
    pub operator: &'c SignedInOperator,
    /// How values are written: in the operator's language, in UTC unless a workspace is shown.
    pub format: Format,
}

impl<'c> ConsoleVisit<'c> {
    /// The operator who calls.
    ///
    /// # Errors
    /// The caller is no operator: the route has a wrong rule, which is a bug (500).
    pub fn begin(call: &'c Call) -> Result<ConsoleVisit<'c>, Problem> {
        match &call.caller {
            Caller::Operator(operator) => Ok(ConsoleVisit::of(call, operator)),
            _ => Err(refusal::internal(&"a route of the console admitted a caller who is no operator")),
        }
    }

    /// The same of an operator who was looked up.
    pub fn of(call: &'c Call, operator: &'c SignedInOperator) -> ConsoleVisit<'c> {
        let format = Format { language: language_of(call.headers()), zone: TimeZone::UTC };
        ConsoleVisit { call, operator, format }
    }

    /// The same with times in another zone.
    pub fn in_zone(self, zone: TimeZone) -> ConsoleVisit<'c> {
        ConsoleVisit { format: Format { zone, ..self.format }, ..self }
    }

    pub fn words(&self) -> &'static Words {
        self.format.language.words()
    }

    pub fn console(&self) -> &'static ConsoleWords {
        &self.words().console
    }

    /// The frame of a page.
    pub fn frame(&self, tab: ConsoleTab) -> ConsoleFrame<'_> {
        ConsoleFrame {
            language: self.format.language,
            words: &self.words().frame,
            console: self.console(),
            assets: &self.call.app.assets,
            operator: self.operator.session.operator.as_str(),
            form_token: &self.operator.form_token,
            tab,
        }
    }
}
