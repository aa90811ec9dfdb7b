//! One line of the table of routes: path, rule, handler, and what the API's description says of it.
//!
//! Router, admission, metrics, OpenAPI and `docs/API.md` are all made from these lines. A route can
//! therefore not be without a rule or a description. The lines are in the files of their resources
//! in `api` and `dashboard`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::call::Call;
use super::problem::{Code, Problem};
use crate::access::Rule;
use crate::app::App;

/// What a handler returns.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

/// The schema of a JSON type, with the schemas that it refers to.
pub struct Shape {
    /// The name of the schema.
    pub name: String,
    /// The schema itself and those that it refers to, by name.
    pub schemas: Vec<(String, RefOr<Schema>)>,
    /// Whether the JSON is a page of a list of the type.
    pub is_list: bool,
    /// Whether the list can be followed: with the parameter `after` it has a position.
    pub is_followed: bool,
}

/// The shape of a type.
pub fn of<T: ToSchema>() -> Shape {
    let mut schemas = Vec::new();
    T::schemas(&mut schemas);
    schemas.push((T::name().into_owned(), T::schema()));
    Shape { name: T::name().into_owned(), schemas, is_list: false, is_followed: false }
}

/// The shape of a page of a list of a type.
pub fn list_of<T: ToSchema>() -> Shape {
    Shape { is_list: true, ..of::<T>() }
}

/// The shape of a page of a list of a type that can be followed.
pub fn followed_list_of<T: ToSchema>() -> Shape {
    Shape { is_followed: true, ..list_of::<T>() }
}

/// The JSON of a request or a response: its shape and an example.
#[derive(Clone, Copy, Debug)]
pub struct Content {
    /// The shape.
    pub shape: fn() -> Shape,
    /// The example, as JSON text; for a list, the example of one row.
    pub example: &'static str,
}

/// The body that a route reads.
#[derive(Clone, Copy, Debug)]
pub struct RequestBody {
    /// Its JSON.
    pub content: Content,
    /// Whether it must be sent.
    pub is_required: bool,
}

/// The response of a route that succeeds.
#[derive(Clone, Copy, Debug)]
pub struct Success {
    /// The status.
    pub status: u16,
    /// The JSON; `None` if the response has none.
    pub content: Option<Content>,
    /// The example of a stream of server-sent events; `None` if the response is no stream.
    pub events: Option<&'static str>,
}

/// A line of the table of routes.
#[derive(Debug)]
pub struct Route {
    /// The method. `HEAD` is answered where `GET` is.
    pub method: Method,
    /// The path, with the names of its parameters in braces.
    pub path: &'static str,
    /// Who may call it.
    pub rule: Rule,
    /// A title in a few words.
    pub summary: &'static str,
    /// What it does, in sentences for someone who does not know the API.
    pub description: &'static str,
    /// The handler.
    pub run: fn(Call) -> Answering,
    /// Whether every change and every answer comes from a command in the caller's name. The ledger
    /// then checks the caller when it decides, so the cached team is good enough for admission.
    pub rechecked_at_decision: bool,
    /// Whether it belongs to the dashboard, whose responses may not be stored by anyone.
    pub is_private: bool,
    /// Whether people open it in a browser, so that a problem becomes a page.
    pub is_page: bool,
    /// The names of its query parameters.
    pub parameters: &'static [&'static str],
    /// Whether it requires the header `Idempotency-Key`.
    pub requires_idempotency_key: bool,
    /// Whether the first answer again has the header `Tollkeeper-Charge-Status`.
    pub says_charge_status: bool,
    /// Whether the header `Idempotency-Key` is refused.
    pub refuses_idempotency_key: bool,
    /// The body that it reads.
    pub body: Option<RequestBody>,
    /// The response if it succeeds.
    pub success: Success,
    /// The problems that only its handler knows; [`Route::codes`] adds the general ones.
    pub own_codes: &'static [Code],
}

impl Route {
    /// The status of a success.
    pub fn success_status(&self) -> StatusCode {
        StatusCode::from_u16(self.success.status).expect("the table has only statuses that exist")
    }

    /// A public or guarded route without parameters, body and JSON response.
    pub const fn new(
        method: Method,
        path: &'static str,
        rule: Rule,
        summary: &'static str,
        run: fn(Call) -> Answering,
    ) -> Route {
        Route {
            method,
            path,
            rule,
            summary,
            description: "",
            run,
            rechecked_at_decision: false,
            is_private: false,
            is_page: false,
            parameters: &[],
            requires_idempotency_key: false,
            says_charge_status: false,
            refuses_idempotency_key: false,
            body: None,
            success: Success { status: 200, content: None, events: None },
            own_codes: &[],
        }
    }

    /// Sets the description.
    pub const fn description(mut self, text: &'static str) -> Route {
        self.description = text;
        self
    }

    /// See the field [`Route::rechecked_at_decision`].
    pub const fn rechecked_at_decision(mut self) -> Route {
        self.rechecked_at_decision = true;
        self
    }

    /// Makes it a route of the dashboard that answers with JSON.
    pub const fn private(mut self) -> Route {
        self.is_private = true;
        self
    }

    /// Makes it a route of the dashboard that answers with a page.
    pub const fn page(mut self) -> Route {
        self.is_private = true;
        self.is_page = true;
        self
    }

    /// Sets the names of the query parameters.
    pub const fn parameters(mut self, names: &'static [&'static str]) -> Route {
        self.parameters = names;
        self
    }

    /// Refuses the header `Idempotency-Key`: the route makes something and keeps no keys, so a
    /// repeated request would make it twice.
    pub const fn keeps_no_key(mut self) -> Route {
        self.refuses_idempotency_key = true;
        self
    }

    /// Requires the header `Idempotency-Key`.
    pub const fn idempotency_key(mut self) -> Route {
        self.requires_idempotency_key = true;
        self
    }

    /// Says in a header of the first answer again what became of the charge since; requires a key.
    pub const fn charge_status(mut self) -> Route {
        self.requires_idempotency_key = true;
        self.says_charge_status = true;
        self
    }

    /// Requires a JSON body.
    pub const fn request(mut self, shape: fn() -> Shape, example: &'static str) -> Route {
        self.body = Some(RequestBody { content: Content { shape, example }, is_required: true });
        self
    }

    /// Reads a JSON body that may be left out.
    pub const fn optional_request(mut self, shape: fn() -> Shape, example: &'static str) -> Route {
        self.body = Some(RequestBody { content: Content { shape, example }, is_required: false });
        self
    }

    /// Answers with JSON.
    pub const fn response(mut self, status: u16, shape: fn() -> Shape, example: &'static str) -> Route {
        self.success = Success { status, content: Some(Content { shape, example }), events: None };
        self
    }

    /// Answers with a stream of server-sent events that does not end by itself.
    pub const fn events(mut self, example: &'static str) -> Route {
        self.success = Success { status: 200, content: None, events: Some(example) };
        self
    }

    /// Answers 204 without content.
    pub const fn no_content(mut self) -> Route {
        self.success = Success { status: 204, content: None, events: None };
        self
    }

    /// Answers 303 with a redirection.
    pub const fn redirects(mut self) -> Route {
        self.success = Success { status: 303, content: None, events: None };
        self
    }

    /// Sets the problems that only the handler knows.
    pub const fn problems(mut self, codes: &'static [Code]) -> Route {
        self.own_codes = codes;
        self
    }

    /// Whether it is a form of the dashboard: it changes something and carries the session's token.
    pub fn is_form(&self) -> bool {
        matches!(self.rule, Rule::SignedIn(_) | Rule::Operator) && self.method != Method::GET
    }

    /// The names of the parameters in the path.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Every problem that the route can answer with, each once: those of its line, its handler's.
    pub fn codes(&self) -> Vec<Code> {
        let mut codes = vec![Code::InvalidParameter, Code::InternalError];
        match self.rule {
            Rule::Public => {}
            Rule::Platform | Rule::Workspace(_) | Rule::AnyWorkspace(_) => {
                codes.extend([Code::Unauthenticated, Code::Forbidden, Code::RateLimited]);
                codes.extend([Code::Overloaded, Code::AccountUnavailable, Code::StoreUnavailable]);
            }
            Rule::SignedIn(_) | Rule::Operator => {
                codes.extend([Code::Unauthenticated, Code::Forbidden, Code::StoreUnavailable]);
            }
        }
        codes.extend(self.path_parameters().filter_map(|name| match name {
            "workspace" => Some(Code::WorkspaceNotFound),
            "charge" => Some(Code::ChargeNotFound),
            "grant" => Some(Code::GrantNotFound),
            "top_up" => Some(Code::TopUpNotFound),
            "member" => Some(Code::MemberNotFound),
            "recipient" => Some(Code::RecipientNotFound),
            "key" => Some(Code::ApiKeyNotFound),
            "endpoint" => Some(Code::WebhookEndpointNotFound),
            _ => None,
        }));
        if self.requires_idempotency_key {
            codes.extend([Code::IdempotencyKeyRequired, Code::IdempotencyKeyReused]);
        }
        if self.is_form() || self.body.is_some() {
            codes.extend([Code::MalformedJson, Code::RequestTimeout]);
            codes.extend([Code::BodyTooLarge, Code::UnsupportedMediaType]);
        }
        if self.body.is_some() {
            codes.extend([Code::UnknownField, Code::InvalidField]);
        }
        codes.extend(self.own_codes);
        codes.sort_by_key(|code| *code as usize);
        codes.dedup();
        codes
    }
}

/// A group of routes about one noun: a tag of the API's description.
pub struct Resource {
    /// The name of the tag, such as `API keys`.
    pub name: &'static str,
    /// What the noun is, in sentences for someone who does not know the API.
    pub description: &'static str,
    /// The routes, in the order in which they are described; one slice per file.
    pub routes: &'static [&'static [Route]],
}

impl Resource {
    /// All routes of the resource, in order.
    pub fn routes(&self) -> impl Iterator<Item = &'static Route> {
        self.routes.iter().copied().flatten()
    }
}

/// How problems look to people, and where the pages are.
#[derive(Clone, Copy)]
pub struct Pages {
    /// The paths under which all pages are, without slashes at the end.
    pub roots: &'static [&'static str],
    /// Whether a client with these headers wants a page instead of JSON.
    pub wants_page: fn(&HeaderMap) -> bool,
    /// A problem as a page, for a request of this path with these headers.
    pub problem: fn(&App, &HeaderMap, &str, &Problem) -> Response,
    /// Adds the headers that keep a response of the pages private.
    pub protect: fn(&mut HeaderMap),
}

/// Everything that the router serves.
pub struct Site {
    /// Every route. A route's index is its index in the metrics.
    pub routes: Vec<&'static Route>,
    /// The pages.
    pub pages: Pages,
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shape").field("name", &self.name).finish_non_exhaustive()
    }
}
