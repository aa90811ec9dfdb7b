//! Messages of the Model Context Protocol: which of them calls a tool and is paid.
//!
//! A message is a JSON-RPC request in the body of a POST. `tools/call` is charged as the operation
//! of its tool, all others are free. A batch with a call could run many tools for one charge, and a
//! message that two parsers read differently could run unpaid: both are refused.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::members::{Members, Unreadable};
use crate::refusal::Refusal;
use crate::settings::Dialect;

const CALL: &str = "tools/call";

/// The errors of JSON-RPC that the gate answers.
const PARSE_ERROR: i32 = -32_700;
const INVALID_REQUEST: i32 = -32_600;
const INVALID_PARAMS: i32 = -32_602;

/// What a message asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// Something that is free.
    Free,
    /// The call of a tool.
    Call(Call),
}

/// A call of a tool.
#[derive(Debug, PartialEq, Eq)]
pub struct Call {
    /// The id of the request, as JSON.
    pub id: Value,
    /// The name of the tool.
    pub tool: String,
}

/// What is wrong with a message.
#[derive(Debug)]
pub struct Fault {
    id: Value,
    code: i32,
    message: String,
}

impl Message {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// It is no message, a batch with a call of a tool, or can be read in two ways.
    pub fn read(body: &[u8]) -> Result<Message, Fault> {
        match Members::read(body) {
            Ok(members) => Message::of(&members),
            Err(Unreadable::Malformed) => Err(fault(Value::Null, PARSE_ERROR, "The body is not valid JSON.")),
            Err(Unreadable::Twice(name)) => {
                Err(fault(Value::Null, INVALID_REQUEST, &format!("The member `{name}` is there twice.")))
            }
            Err(Unreadable::NotObject) => Message::of_batch(body),
        }
    }

    fn of_batch(body: &[u8]) -> Result<Message, Fault> {
        let wrong = |message: &str| Err(fault(Value::Null, INVALID_REQUEST, message));
        let Ok(messages) = serde_json::from_slice::<Vec<&RawValue>>(body) else {
            return wrong("The body must be a JSON-RPC message.");
        };
        for message in messages {
            let read = Members::read(message.get().as_bytes()).ok().map(|members| Message::of(&members));
            match read {
                Some(Ok(Message::Free)) => {}
                Some(Ok(Message::Call(_))) => {
                    return wrong(
                        "A batch must not contain tools/call. Send each call in a request of its own.",
                    );
                }
                Some(Err(fault)) => return Err(Fault { id: Value::Null, ..fault }),
                None => return wrong("The batch has a part that is no JSON-RPC message."),
            }
        }
        Ok(Message::Free)
    }

    fn of(members: &Members) -> Result<Message, Fault> {
        let id = members.get("id").and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null);
        if let Some(other) = members.other_spelling(&["jsonrpc", "id", "method", "params"]) {
            let message = format!("The member `{other}` may be read as another one.");
            return Err(fault(id, INVALID_REQUEST, &message));
        }
        // Without a method it is an answer of the client to a question of the server.
        let Some(method) = members.get("method") else { return Ok(Message::Free) };
        let Ok(method) = serde_json::from_str::<String>(method) else {
            return Err(fault(id, INVALID_REQUEST, "The member `method` must be a text."));
        };
        if !method.trim().eq_ignore_ascii_case(CALL) {
            return Ok(Message::Free);
        }
        if method != CALL {
            return Err(fault(id, INVALID_REQUEST, "The method may be read as tools/call. Write it so."));
        }
        if !matches!(id, Value::String(_) | Value::Number(_)) {
            return Err(fault(
                Value::Null,
                INVALID_REQUEST,
                "tools/call must have an `id`, a text or a number.",
            ));
        }
        match tool(members) {
            Ok(tool) => Ok(Message::Call(Call { id, tool })),
            Err(message) => Err(fault(id, INVALID_PARAMS, message)),
        }
    }
}

/// The name of the tool that is called.
fn tool(members: &Members) -> Result<String, &'static str> {
    const MUST: &str = "tools/call must have `params` with the `name` of a tool.";
    let params = Members::read(members.get("params").ok_or(MUST)?.as_bytes()).map_err(|why| match why {
        Unreadable::Twice(_) => "The params have a member twice.",
        Unreadable::Malformed | Unreadable::NotObject => MUST,
    })?;
    if params.other_spelling(&["name"]).is_some() {
        return Err("The params have a member that may be read as `name`.");
    }
    let name: String = serde_json::from_str(params.get("name").ok_or(MUST)?).map_err(|_| MUST)?;
    if name.is_empty() { Err(MUST) } else { Ok(name) }
}

fn fault(id: Value, code: i32, message: &str) -> Fault {
    Fault { id, code, message: message.to_owned() }
}

impl Fault {
    /// The answer to a message that is wrong.
    pub fn into_response(self) -> Response<Body> {
        let error = json!({ "code": self.code, "message": self.message });
        answer(StatusCode::BAD_REQUEST, &json!({ "jsonrpc": "2.0", "id": self.id, "error": error }))
    }
}

impl Call {
    /// The answer to a call that the gate refused: the result of a tool, which the model reads. A
    /// caller that is not known or may not charge gets a status of HTTP, as the protocol wants it.
    pub fn refused(&self, refusal: Refusal) -> Response<Body> {
        if refusal.is_of_caller() {
            return refusal.into_response(Dialect::Problem);
        }
        let (text, members) = refusal.into_parts();
        let result = json!({
            "content": [{ "type": "text", "text": text }],
            "isError": true,
            // The protocol requires it since 2026-07-28; older clients ignore it.
            "resultType": "complete",
            "_meta": { "tollkeeper": members },
        });
        answer(StatusCode::OK, &json!({ "jsonrpc": "2.0", "id": self.id, "result": result }))
    }
}

fn answer(status: StatusCode, message: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(message.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_a_tool_is_found() {
        let body = br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"search","arguments":{"a":[1]}}}"#;
        let expected = Call { id: 7.into(), tool: "search".to_owned() };
        assert_eq!(Message::read(body).expect("it is a message"), Message::Call(expected));
        for free in [
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"method":"tools/call"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"name":"search"}}"#,
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"tools/list"}]"#,
            "[]",
        ] {
            assert_eq!(Message::read(free.as_bytes()).expect(free), Message::Free, "{free}");
        }
    }

    #[test]
    fn no_call_slips_through() {
        let of = |body: &str| Message::read(body.as_bytes()).expect_err(body).code;
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#;
        for wrong in [
            format!("[{call}]"),
            format!("[{{\"id\":1,\"method\":\"ping\"}},{call}]"),
            format!("[[{call}]]"),
            r#"[{"method":"ping","method":"tools/call"}]"#.to_owned(),
            r#"{"id":1,"method":"ping","method":"tools/call"}"#.to_owned(),
            r#"{"id":1,"Method":"tools/call","params":{"name":"a"}}"#.to_owned(),
            r#"{"id":1,"method":"ping","METHOD":"tools/call"}"#.to_owned(),
            r#"{"id":1,"method":"Tools/Call","params":{"name":"a"}}"#.to_owned(),
            r#"{"id":1,"method":" tools/call","params":{"name":"a"}}"#.to_owned(),
            r#"{"id":1,"method":5}"#.to_owned(),
            r#"{"method":"tools/call","params":{"name":"a"}}"#.to_owned(),
            r#"{"id":null,"method":"tools/call","params":{"name":"a"}}"#.to_owned(),
            "1".to_owned(),
        ] {
            assert_eq!(of(&wrong), INVALID_REQUEST, "{wrong}");
        }
        for wrong in [
            r#"{"id":1,"method":"tools/call"}"#,
            r#"{"id":1,"method":"tools/call","params":["a"]}"#,
            r#"{"id":1,"method":"tools/call","params":{"name":"cheap","name":"dear"}}"#,
            r#"{"id":1,"method":"tools/call","params":{"name":"cheap","Name":"dear"}}"#,
            r#"{"id":1,"method":"tools/call","params":{"name":""}}"#,
            r#"{"id":1,"method":"tools/call","params":{"name":3}}"#,
        ] {
            assert_eq!(of(wrong), INVALID_PARAMS, "{wrong}");
        }
        assert_eq!((of("{"), of("")), (PARSE_ERROR, PARSE_ERROR));
        let escaped = r#"{"id":1,"method":"tools\/c\u0061ll","params":{"name":"a"}}"#;
        assert!(matches!(Message::read(escaped.as_bytes()), Ok(Message::Call(_))));
    }
}
