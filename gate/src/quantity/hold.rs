//! What a metered request may use at most, and the body with the limit that makes it so.
//!
//! `input` is bounded by the bytes of the body, because a token is at least a byte. `output` is
//! bounded by a limit that the gate writes into the body, times the answers that are asked for. A
//! member that could be read in two ways is refused, so that the hold stays a bound. So is another
//! member that some upstream reads as a limit. Input that is not text has no bound in the bytes, so
//! the most of the route is held.

use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::value::RawValue;

use super::members::{Members, Unreadable, raw};
use super::references::has_other_input;
use crate::charging::Quantities;
use crate::refusal::Refusal;
use crate::settings::{INPUT, Metering, OUTPUT, OutputHold, UNITS_MAX};

/// The members with a limit of the output, the one that counts first.
const LIMITS: [&str; 2] = ["max_completion_tokens", "max_tokens"];

/// The members that change how much a request produces or how usage is reported.
const GOVERNED: [&str; 5] = ["n", "best_of", "prompt", "stream", "stream_options"];

/// The members within which some upstreams read others.
const NESTED: [&str; 2] = ["options", "extra_body"];

/// A request that was read and can be held for.
#[derive(Debug)]
pub struct MeteredRequest {
    members: Members,
    input: Option<i64>,
    output: Option<Output>,
    /// The bytes of the body as the client sent it.
    pub body_bytes: i64,
    /// Whether the answer gets an event with usage that the client did not ask for.
    pub strips_usage: bool,
}

/// The bound of the output.
#[derive(Clone, Copy, Debug)]
struct Output {
    /// The limit of one answer.
    limit: i64,
    /// The answers that the request asks for.
    answers: i64,
}

impl MeteredRequest {
    /// Reads the body of a request, and writes the limit of the output into it.
    ///
    /// # Errors
    /// The body is no JSON object, or a member that decides about the price is wrong.
    pub fn read(metering: &Metering, body: &[u8]) -> Result<MeteredRequest, Refusal> {
        let mut members = Members::read(body).map_err(unreadable)?;
        refuse_other_spellings(metering, &members)?;
        let body_bytes = i64::try_from(body.len()).unwrap_or(UNITS_MAX);
        if let Some(hold) = &metering.output {
            refuse_other_limits(hold, &members)?;
        }
        let input = metering.input.map(|hold| match has_other_input(body) {
            true => hold.max,
            false => body_bytes.saturating_add(hold.constant).min(hold.max),
        });
        let output = metering.output.as_ref().map(|hold| Output::of(hold, &members)).transpose()?;
        let strips_usage = metering.stream_usage && ask_for_usage(&mut members)?;
        let mut request = MeteredRequest { members, input, output, body_bytes, strips_usage };
        request.write_limit(metering);
        Ok(request)
    }

    /// What is held.
    pub fn held(&self) -> Quantities {
        let output = self.output.map(|output| output.limit.saturating_mul(output.answers));
        let units = [(INPUT, self.input), (OUTPUT, output)];
        units.into_iter().filter_map(|(id, units)| Some((id.to_owned(), units?))).collect()
    }

    /// Lowers the output to what is affordable for all answers together; returns the new limit of
    /// one answer. Nothing changes if that is below `least`, or not lower.
    pub fn fit(&mut self, metering: &Metering, affordable: i64, least: i64) -> Option<i64> {
        let output = self.output.as_mut()?;
        let limit = affordable / output.answers;
        if limit < least || limit >= output.limit {
            return None;
        }
        output.limit = limit;
        self.write_limit(metering);
        Some(limit)
    }

    /// The body that the upstream gets.
    pub fn into_body(self) -> Bytes {
        Bytes::from(self.members.to_json())
    }

    fn write_limit(&mut self, metering: &Metering) {
        let (Some(hold), Some(output)) = (&metering.output, self.output) else { return };
        let limit = raw(output.limit);
        if let Some(only) = &hold.member {
            LIMITS.iter().filter(|name| **name != only.as_str()).for_each(|name| self.members.remove(name));
            return self.members.set(only, limit);
        }
        // A server may read either of them.
        let used: Vec<&str> = LIMITS.into_iter().filter(|name| self.members.get(name).is_some()).collect();
        for unused in LIMITS.iter().filter(|name| !used.contains(name)) {
            self.members.remove(unused);
        }
        let written = if used.is_empty() { vec![hold.default_member()] } else { used };
        written.into_iter().for_each(|name| self.members.set(name, limit.clone()));
    }
}

impl Output {
    fn of(hold: &OutputHold, members: &Members) -> Result<Output, Refusal> {
        let names = hold.member.iter().map(String::as_str).chain(LIMITS);
        let mut limit = None;
        for name in names {
            let given = positive(members, name)?;
            limit = limit.or(given);
        }
        let choices = positive(members, "n")?.unwrap_or(1).max(positive(members, "best_of")?.unwrap_or(1));
        let answers = choices.saturating_mul(prompts(members)?);
        let most = hold.max / answers;
        if most == 0 {
            let detail =
                format!("The request asks for {answers} answers, more than its output may have units.");
            return Err(invalid("n", &detail));
        }
        Ok(Output { limit: limit.unwrap_or(hold.default).min(most), answers })
    }
}

/// The prompts of a request for completions: each gets answers of its own. A list of numbers is one
/// prompt, in tokens.
fn prompts(members: &Members) -> Result<i64, Refusal> {
    let Some(text) = members.get("prompt").filter(|text| text.starts_with('[')) else { return Ok(1) };
    let list: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|_| invalid("prompt", "The member `prompt` is not valid."))?;
    let prompts = list.iter().filter(|prompt| prompt.get().starts_with(['"', '['])).count();
    Ok(i64::try_from(prompts).unwrap_or(UNITS_MAX).max(1))
}

/// A member that is a whole number of at least 1, if it is there.
fn positive(members: &Members, name: &str) -> Result<Option<i64>, Refusal> {
    let Some(text) = members.get(name) else { return Ok(None) };
    let number = serde_json::from_str::<i64>(text).ok().filter(|number| *number >= 1);
    let wrong = || invalid(name, &format!("The member `{name}` must be a whole number of at least 1."));
    number.map(Some).ok_or_else(wrong)
}

/// Asks for usage in a stream; returns whether the client had not asked for it.
fn ask_for_usage(members: &mut Members) -> Result<bool, Refusal> {
    match members.get("stream") {
        Some("true") => {}
        None | Some("false") => return Ok(false),
        Some(_) => return Err(invalid("stream", "The member `stream` must be true or false.")),
    }
    let mut options = match members.get("stream_options") {
        Some(text) => Members::read(text.as_bytes()).map_err(|_| {
            invalid("stream_options", "The member `stream_options` must be an object with single members.")
        })?,
        None => Members::read(b"{}").map_err(unreadable)?,
    };
    if let Some(other) = options.other_spelling(&["include_usage"]) {
        return Err(spelled(other));
    }
    if options.get("include_usage") == Some("true") {
        return Ok(false);
    }
    options.set("include_usage", raw(true));
    let options = RawValue::from_string(options.to_json())
        .map_err(|_| invalid("stream_options", "The member `stream_options` is not valid."))?;
    members.set("stream_options", options);
    Ok(true)
}

fn refuse_other_spellings(metering: &Metering, members: &Members) -> Result<(), Refusal> {
    let own = metering.output.as_ref().and_then(|hold| hold.member.as_deref());
    let names: Vec<&str> = LIMITS.into_iter().chain(GOVERNED).chain(NESTED).chain(own).collect();
    members.other_spelling(&names).map_or(Ok(()), |other| Err(spelled(other)))
}

/// Refuses a member that the upstream may read as another limit than the one that is written.
fn refuse_other_limits(hold: &OutputHold, members: &Members) -> Result<(), Refusal> {
    let refused = |name: &str| {
        let written = hold.default_member();
        invalid(name, &format!("The member `{name}` is not taken. Limit the output with `{written}`."))
    };
    if let Some(name) = members.any_of(&hold.refused) {
        return Err(refused(name));
    }
    let within: Vec<String> = LIMITS
        .into_iter()
        .map(str::to_owned)
        .chain(hold.refused.iter().chain(&hold.member).cloned())
        .collect();
    for outer in NESTED {
        let Some(nested) = members.get(outer) else { continue };
        match Members::read(nested.as_bytes()) {
            Ok(nested) => {
                if let Some(name) = nested.any_of(&within) {
                    return Err(refused(&format!("{outer}.{name}")));
                }
            }
            Err(Unreadable::Twice(name)) => {
                let name = format!("{outer}.{name}");
                return Err(invalid(&name, &format!("The member `{name}` is there twice.")));
            }
            Err(Unreadable::NotObject | Unreadable::Malformed) => {}
        }
    }
    Ok(())
}

fn spelled(name: &str) -> Refusal {
    let detail = format!("The member `{name}` may be read as another one. Write it as the API documents it.");
    invalid(name, &detail)
}

/// The refusal of a body that is no object with single members.
pub fn unreadable(why: Unreadable) -> Refusal {
    let malformed =
        |detail| Refusal::new(StatusCode::BAD_REQUEST, "malformed_json", "Malformed JSON", detail);
    match why {
        Unreadable::Malformed => malformed("The body is not valid JSON."),
        Unreadable::NotObject => malformed("The body must be a JSON object."),
        Unreadable::Twice(name) => invalid(&name, &format!("The member `{name}` is there twice.")),
    }
}

fn invalid(field: &str, detail: &str) -> Refusal {
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", "Invalid field", detail)
        .with("field", field.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{InputHold, Meter, OnMissing};

    fn metering() -> Metering {
        let meter = |id: &str| Meter { id: id.to_owned(), pointers: vec![format!("/usage/{id}")] };
        Metering {
            meters: vec![meter(INPUT), meter(OUTPUT)],
            included: Vec::new(),
            input: Some(InputHold { max: 1_000, constant: 10 }),
            output: Some(OutputHold {
                max: 400,
                default: 100,
                member: None,
                refused: vec!["n_predict".to_owned(), "num_predict".to_owned()],
            }),
            fit_min: None,
            on_missing: OnMissing::Estimate,
            stream_usage: false,
        }
    }

    /// The units of `output` that are held for a body, and the body that is sent.
    fn of(body: &str) -> Result<(i64, String), String> {
        let read = MeteredRequest::read(&metering(), body.as_bytes());
        let request = read.map_err(|refusal| refusal.code().to_owned())?;
        let held = request.held();
        assert_eq!(held[INPUT], (body.len() as i64 + 10).min(1_000), "{body}");
        Ok((held[OUTPUT], String::from_utf8(request.into_body().to_vec()).expect("it is JSON")))
    }

    #[track_caller]
    fn check(body: &str, held: i64, sent: &str) {
        assert_eq!(of(body), Ok((held, sent.to_owned())), "{body}");
    }

    #[test]
    fn the_limit_is_written_where_the_client_has_it() {
        check(r#"{"model":"m"}"#, 100, r#"{"model":"m","max_tokens":100}"#);
        check(r#"{"max_tokens":7,"b":1}"#, 7, r#"{"max_tokens":7,"b":1}"#);
        check(r#"{"max_completion_tokens": 8}"#, 8, r#"{"max_completion_tokens":8}"#);
        check(
            r#"{"max_tokens":3,"max_completion_tokens":8}"#,
            8,
            r#"{"max_tokens":8,"max_completion_tokens":8}"#,
        );
        check(r#"{"max_completion_tokens":null,"max_tokens":5}"#, 5, r#"{"max_tokens":5}"#);
        check(r#"{"max_tokens":null}"#, 100, r#"{"max_tokens":100}"#);
        check(r#"{"max_tokens":999999999999}"#, 400, r#"{"max_tokens":400}"#);
    }

    #[test]
    fn the_limit_is_times_the_answers() {
        check(r#"{"n":3,"max_tokens":50}"#, 150, r#"{"n":3,"max_tokens":50}"#);
        check(r#"{"n":3,"max_tokens":200}"#, 399, r#"{"n":3,"max_tokens":133}"#);
        check(r#"{"n":null,"best_of":4}"#, 400, r#"{"n":null,"best_of":4,"max_tokens":100}"#);
        check(r#"{"n":2,"best_of":1}"#, 200, r#"{"n":2,"best_of":1,"max_tokens":100}"#);
        check(r#"{"prompt":["a","b"],"n":2}"#, 400, r#"{"prompt":["a","b"],"n":2,"max_tokens":100}"#);
        check(r#"{"prompt":[[1],[2],[3]]}"#, 300, r#"{"prompt":[[1],[2],[3]],"max_tokens":100}"#);
        check(r#"{"prompt":[1,2,3]}"#, 100, r#"{"prompt":[1,2,3],"max_tokens":100}"#);
        check(r#"{"prompt":[]}"#, 100, r#"{"prompt":[],"max_tokens":100}"#);
        check(r#"{"n":400}"#, 400, r#"{"n":400,"max_tokens":1}"#);
        for many in [
            r#"{"n":401}"#,
            r#"{"n":9223372036854775807}"#,
            r#"{"n":9223372036854775807,"prompt":["a","b"]}"#,
        ] {
            assert_eq!(of(many), Err("invalid_field".to_owned()), "{many}");
        }
    }

    #[test]
    fn a_hostile_number_is_refused() {
        let thirty = format!("1{}", "0".repeat(30));
        for name in ["max_tokens", "max_completion_tokens", "n", "best_of"] {
            for value in ["-1", "0", "1.5", "1.0", "1e30", "1e2", "\"5\"", "true", "[]", "{}", "-0", &thirty]
            {
                let body = format!("{{\"{name}\":{value}}}");
                assert_eq!(of(&body), Err("invalid_field".to_owned()), "{body}");
            }
        }
        // The second limit is not the one that counts, and an upstream may read it.
        let body = r#"{"max_completion_tokens":5,"max_tokens":-1}"#;
        assert_eq!(of(body), Err("invalid_field".to_owned()));
    }

    #[test]
    fn a_body_that_can_be_read_in_two_ways_is_refused() {
        for body in [
            r#"{"max_tokens":1,"max_tokens":999}"#,
            r#"{"max_tokens":1,"max_token\u0073":999}"#,
            r#"{"max_tokens":1,"Max_Tokens":999}"#,
            r#"{"maxTokens":999}"#,
            r#"{"N":9}"#,
            r#"{"max_to\u212aens":9}"#,
            r#"{"Prompt":["a","b"]}"#,
        ] {
            assert_eq!(of(body), Err("invalid_field".to_owned()), "{body}");
        }
        for body in ["", "{", "[]", "[{\"max_tokens\":1}]", "1", "{\"max_tokens\":1} {\"max_tokens\":9}"] {
            assert_eq!(of(body), Err("malformed_json".to_owned()), "{body}");
        }
    }

    #[test]
    fn a_large_body_holds_the_most_input() {
        let body = format!("{{\"messages\":\"{}\"}}", "x".repeat(5_000));
        assert_eq!(of(&body).expect("it is right").0, 100);
        let mut without = metering();
        without.input = None;
        let request = MeteredRequest::read(&without, b"{}").expect("it is right");
        assert_eq!(request.held(), Quantities::from([(OUTPUT.to_owned(), 100)]));
    }

    #[test]
    fn a_route_can_have_one_member_for_the_limit() {
        let mut metering = metering();
        metering.output.as_mut().expect("it has one").member = Some("max_tokens".to_owned());
        let sent = |body: &str| {
            let request = MeteredRequest::read(&metering, body.as_bytes()).expect("it is right");
            (request.held()[OUTPUT], String::from_utf8(request.into_body().to_vec()).expect("it is JSON"))
        };
        let max_tokens = |limit: i64| (limit, format!("{{\"max_tokens\":{limit}}}"));
        assert_eq!(sent(r#"{"max_completion_tokens":9}"#), max_tokens(9));
        assert_eq!(sent(r#"{"max_completion_tokens":9,"max_tokens":5}"#), max_tokens(5));
        metering.output.as_mut().expect("it has one").member = Some("max_output_tokens".to_owned());
        let request = MeteredRequest::read(&metering, br#"{"max_tokens":9}"#).expect("it is right");
        assert_eq!(request.into_body(), r#"{"max_output_tokens":9}"#.as_bytes());
    }

    #[test]
    fn another_limit_that_an_upstream_may_read_is_refused() {
        for (body, field) in [
            (r#"{"n_predict":9}"#, "n_predict"),
            (r#"{"nPredict":-1}"#, "nPredict"),
            (r#"{"options":{"num_predict":9}}"#, "options.num_predict"),
            (r#"{"options":{"Num_Predict":9}}"#, "options.Num_Predict"),
            (r#"{"options":{},"Options":{"num_predict":9}}"#, "Options"),
            (r#"{"extra_body":{"max_tokens":9}}"#, "extra_body.max_tokens"),
            (r#"{"options":{"a":1,"a":2}}"#, "options.a"),
        ] {
            let refusal = MeteredRequest::read(&metering(), body.as_bytes()).expect_err(body);
            let (_, members) = refusal.into_parts();
            assert_eq!((&members["code"], &members["field"]), (&"invalid_field".into(), &field.into()));
        }
        for body in [r#"{"n_predict":null}"#, r#"{"options":{"seed":1}}"#, r#"{"options":[1]}"#] {
            assert_eq!(of(body).expect(body).0, 100);
        }
        let embeddings = Metering { output: None, ..metering() };
        assert!(MeteredRequest::read(&embeddings, br#"{"n_predict":9}"#).is_ok(), "nothing is produced");
    }

    #[test]
    fn input_that_is_not_in_the_bytes_holds_the_most() {
        for body in [
            r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"https://a"}}]}]}"#,
            r#"{"input":"a","previous_response_id":"resp_1"}"#,
        ] {
            let request = MeteredRequest::read(&metering(), body.as_bytes()).expect("it is right");
            assert_eq!(request.held()[INPUT], 1_000, "{body}");
        }
    }

    #[test]
    fn the_output_is_lowered_to_what_is_affordable() {
        let metering = metering();
        let read = |body: &str| MeteredRequest::read(&metering, body.as_bytes()).expect("it is right");
        let mut request = read(r#"{"max_tokens":90,"n":2}"#);
        assert_eq!(request.fit(&metering, 19, 10), None, "9 for each answer are too few");
        assert_eq!(request.fit(&metering, 180, 10), None, "all of it is affordable");
        assert_eq!(request.held()[OUTPUT], 180);
        assert_eq!(request.fit(&metering, 61, 10), Some(30));
        assert_eq!(request.held()[OUTPUT], 60);
        assert_eq!(request.into_body(), r#"{"max_tokens":30,"n":2}"#.as_bytes());
        assert_eq!(read("{}").fit(&metering, 0, 1), None);
        assert_eq!(read("{}").fit(&metering, -5, 1), None);
    }

    #[test]
    fn usage_is_asked_for_in_a_stream_only() {
        let metering = Metering { stream_usage: true, ..metering() };
        let read = |body: &str| MeteredRequest::read(&metering, body.as_bytes());
        let sent = |body: &str| {
            let request = read(body).expect("it is right");
            (request.strips_usage, String::from_utf8(request.into_body().to_vec()).expect("it is JSON"))
        };
        for (body, strips, options) in [
            (r#"{"n":1}"#, false, ""),
            (r#"{"stream":false}"#, false, ""),
            (r#"{"stream":true}"#, true, r#","stream_options":{"include_usage":true}"#),
        ] {
            let expected = format!("{}{options},\"max_tokens\":100}}", &body[..body.len() - 1]);
            assert_eq!(sent(body), (strips, expected));
        }
        let (strips, body) = sent(r#"{"stream":true,"stream_options":{"include_usage":true}}"#);
        assert!(!strips, "{body}");
        let (strips, body) =
            sent(r#"{"stream":true,"stream_options":{"include_usage":false,"continuous_usage_stats":true}}"#);
        assert!(strips);
        let options = r#""stream_options":{"include_usage":true,"continuous_usage_stats":true}"#;
        assert!(body.contains(options), "{body}");
        assert!(sent(r#"{"stream":true,"stream_options":null}"#).0);
        for wrong in [
            r#"{"stream":"true"}"#,
            r#"{"stream":1}"#,
            r#"{"stream":true,"stream_options":[]}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true,"include_usage":false}}"#,
            r#"{"stream":true,"stream_options":{"Include_Usage":false}}"#,
        ] {
            assert_eq!(read(wrong).expect_err(wrong).code(), "invalid_field", "{wrong}");
        }
    }
}
