//! Usage in an answer that is passed on: the units of each meter, and what is left out of a stream.
//!
//! Bytes are passed on as they come. Only where the gate asked for usage in the name of the client,
//! an event waits until it is complete, because the one with usage alone is left out.
//!
//! A client may cause an answer that the gate cannot read, by its length or form. Such an answer is
//! not the same as one that can be read and has no usage.

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::Value;

use super::content;
use super::events::{EVENT_MAX_BYTES, Event, EventParser};
use crate::charging::Quantities;
use crate::quantity::media_type;
use crate::settings::{Meter, Metering, OUTPUT, UNITS_MAX};

/// The longest JSON answer that is read.
pub const ANSWER_MAX_BYTES: usize = 4 << 20;

/// The end of a longer one, in which usage is looked for.
const TAIL_BYTES: usize = 64 << 10;

/// Reads usage while an answer passes.
pub struct UsageReader {
    form: Form,
    /// The last units of each meter, in the order of the route.
    seen: Vec<Option<i64>>,
    /// The bytes of the answer.
    pub bytes: i64,
    /// The events with output, if the answer is a stream of them.
    pub events: Option<i64>,
    /// The bytes of the output in the events.
    pub text_bytes: i64,
    /// Whether an event had output that is not empty.
    pub has_text: bool,
    /// Whether an event said that the operation failed.
    pub has_error: bool,
    /// Whether output came after the last usage.
    pub is_usage_old: bool,
    /// Whether a part of the answer could not be read.
    pub is_unreadable: bool,
    /// Whether the answer is a single JSON text.
    pub is_json: bool,
}

/// How an answer is read.
enum Form {
    Events {
        parser: EventParser,
        strips: bool,
        filter: Filter,
    },
    /// `is_tail`: whether only the end of the text is kept.
    Json {
        text: Vec<u8>,
        is_tail: bool,
    },
    /// It is compressed.
    Unreadable,
}

/// Bytes of events on their way to a client that does not get all of them.
#[derive(Default)]
struct Filter {
    /// The bytes of an event that has not ended.
    waiting: Vec<u8>,
    /// Whether the last event was left out.
    left_out: bool,
}

impl Filter {
    /// Takes bytes of an event.
    fn take(&mut self, bytes: &[u8], has_ended: bool, is_left_out: bool, passed: &mut Vec<u8>) {
        self.waiting.extend_from_slice(bytes);
        if has_ended {
            self.left_out = is_left_out;
        }
        if has_ended && is_left_out {
            self.waiting.clear();
        } else if has_ended || self.waiting.len() > EVENT_MAX_BYTES {
            self.left_out = false;
            passed.append(&mut self.waiting);
        }
    }

    /// Takes the second half of an end of a line, which belongs to the bytes before it.
    fn take_line_feed(&mut self, passed: &mut Vec<u8>) {
        match (self.waiting.is_empty(), self.left_out) {
            (false, _) => self.waiting.push(b'\n'),
            (true, false) => passed.push(b'\n'),
            (true, true) => {}
        }
    }
}

impl UsageReader {
    /// A reader for an answer with these headers. `strips`: whether the event with usage alone is
    /// left out.
    pub fn new(metering: &Metering, headers: &HeaderMap, strips: bool) -> UsageReader {
        let is_encoded = headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
        let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
        let name = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let is_stream = name.eq_ignore_ascii_case(b"text/event-stream");
        let form = match (is_encoded, is_stream) {
            (true, _) => Form::Unreadable,
            (false, true) => {
                Form::Events { parser: EventParser::default(), strips, filter: Filter::default() }
            }
            (false, false) => Form::Json { text: Vec::new(), is_tail: false },
        };
        let events = (is_stream && !is_encoded).then_some(0);
        UsageReader {
            form,
            seen: vec![None; metering.meters.len()],
            bytes: 0,
            events,
            text_bytes: 0,
            has_text: false,
            has_error: false,
            is_usage_old: false,
            is_unreadable: is_encoded,
            is_json: std::str::from_utf8(name).is_ok_and(media_type::is_json),
        }
    }

    /// Whether bytes may be left out, so that the answer has no length.
    pub fn may_strip(&self) -> bool {
        matches!(self.form, Form::Events { strips: true, .. })
    }

    /// Reads a part of the answer; returns what is passed on.
    pub fn read(&mut self, metering: &Metering, part: Bytes) -> Bytes {
        self.bytes = self.bytes.saturating_add(i64::try_from(part.len()).unwrap_or(i64::MAX));
        let (mut ended, mut passed) = (Vec::new(), Vec::new());
        match &mut self.form {
            Form::Unreadable => return part,
            Form::Json { text, is_tail } => {
                keep(text, is_tail, &part);
                return part;
            }
            Form::Events { parser, strips, filter } => {
                let mut rest = &part[..];
                if *strips && parser.skip_line_feed(rest) {
                    filter.take_line_feed(&mut passed);
                    rest = &rest[1..];
                }
                while !rest.is_empty() {
                    let (read, event) = parser.next(rest);
                    let value = event.as_ref().and_then(Part::of);
                    if *strips {
                        let is_left_out = value.as_ref().is_some_and(Part::is_usage_alone);
                        filter.take(&rest[..read], event.is_some(), is_left_out, &mut passed);
                    }
                    rest = &rest[read..];
                    ended.extend(value);
                }
            }
        }
        let strips = self.may_strip();
        ended.iter().for_each(|value| self.see_event(metering, value));
        if strips { Bytes::from(passed) } else { part }
    }

    /// Reads the end of the answer; returns what is passed on yet. `is_whole`: whether the upstream
    /// sent all of it.
    pub fn end(&mut self, metering: &Metering, is_whole: bool) -> Bytes {
        match std::mem::replace(&mut self.form, Form::Unreadable) {
            Form::Events { mut parser, strips, filter } => {
                let value = parser.end().as_ref().and_then(Part::of);
                let is_left_out = strips && value.as_ref().is_some_and(Part::is_usage_alone);
                if let Some(value) = &value {
                    self.see_event(metering, value);
                }
                if is_left_out { Bytes::new() } else { Bytes::from(filter.waiting) }
            }
            Form::Json { text, is_tail } => {
                if is_whole {
                    self.see_json(metering, &text, is_tail);
                }
                Bytes::new()
            }
            Form::Unreadable => Bytes::new(),
        }
    }

    /// The last units of each meter that the answer had.
    pub fn seen(&self) -> &[Option<i64>] {
        &self.seen
    }

    fn see_event(&mut self, metering: &Metering, part: &Part) {
        let event = match part {
            Part::Value(event) => event,
            // What it was is not known, so it counts as output.
            Part::Unreadable(bytes) => {
                (self.is_unreadable, self.has_text, self.is_usage_old) = (true, true, true);
                self.text_bytes = self.text_bytes.saturating_add(*bytes);
                return;
            }
        };
        self.events = self.events.map(|events| events + i64::from(content::has_output(event)));
        self.text_bytes = self.text_bytes.saturating_add(content::text_bytes(event));
        self.has_error |= content::is_error(event);
        if content::has_text(event) {
            (self.has_text, self.is_usage_old) = (true, true);
        }
        self.see(metering, event);
    }

    fn see_json(&mut self, metering: &Metering, text: &[u8], is_tail: bool) {
        let answer = if is_tail { None } else { serde_json::from_slice(text).ok() };
        let answer = answer.or_else(|| {
            let tail = &text[text.len().saturating_sub(TAIL_BYTES)..];
            content::usage_at_end(tail).map(|usage| serde_json::json!({ "usage": usage }))
        });
        match answer {
            Some(answer) => self.see(metering, &answer),
            None => self.is_unreadable |= !text.is_empty(),
        }
    }

    fn see(&mut self, metering: &Metering, value: &Value) {
        for (seen, meter) in self.seen.iter_mut().zip(&metering.meters) {
            let units = units_of(meter, value);
            if units.is_some() && meter.id == OUTPUT {
                self.is_usage_old = false;
            }
            *seen = units.or(*seen);
        }
    }
}

/// Adds to the text of an answer, of which only the end is kept if it is long.
fn keep(text: &mut Vec<u8>, is_tail: &mut bool, part: &[u8]) {
    *is_tail |= text.len() + part.len() > ANSWER_MAX_BYTES;
    let part = if *is_tail { &part[part.len().saturating_sub(TAIL_BYTES)..] } else { part };
    // The old end is moved away once for many parts.
    if *is_tail && text.len() + part.len() > 2 * TAIL_BYTES {
        text.drain(..text.len().saturating_sub(TAIL_BYTES));
        text.shrink_to(4 * TAIL_BYTES);
    }
    text.extend_from_slice(part);
}

/// What an event has.
enum Part {
    Value(Value),
    /// It is too long, or nested too deeply. With the number of its bytes.
    Unreadable(i64),
}

impl Part {
    /// The JSON of an event, if it has any.
    fn of(event: &Event) -> Option<Part> {
        let unreadable = |bytes: usize| Part::Unreadable(i64::try_from(bytes).unwrap_or(i64::MAX));
        match event {
            Event::Data(data) => match serde_json::from_slice(data) {
                Ok(value) => Some(Part::Value(value)),
                Err(_) => data.trim_ascii_start().starts_with(b"{").then(|| unreadable(data.len())),
            },
            Event::TooLong => Some(unreadable(EVENT_MAX_BYTES)),
            Event::Empty => None,
        }
    }

    fn is_usage_alone(&self) -> bool {
        matches!(self, Part::Value(event) if content::is_usage_alone(event))
    }
}

/// The units of a meter: the first pointer with a number. What is no number of units counts as
/// absent.
fn units_of(meter: &Meter, value: &Value) -> Option<i64> {
    let units = |pointer: &String| {
        let units = value.pointer(pointer)?.as_u64()?;
        Some(i64::try_from(units).unwrap_or(UNITS_MAX).min(UNITS_MAX))
    };
    meter.pointers.iter().find_map(units)
}

/// The quantities to be settled: units that one meter includes of another one count once.
pub fn quantities(metering: &Metering, units: &[i64]) -> Quantities {
    let mut own = units.to_vec();
    for (part, whole) in &metering.included {
        own[*whole] = (own[*whole] - units[*part]).max(0);
    }
    metering.meters.iter().map(|meter| meter.id.clone()).zip(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Quantity, Settings};

    fn metering(meters: &str) -> Metering {
        let text = format!(
            "[gate]\nlisten = \"127.0.0.1:0\"\n[[gate.routes]]\nmethod = \"POST\"\npath = \"/\"\noperation = \"a\"\n\
             upstream = \"http://127.0.0.1:1\"\nmax_input = 9\nmax_output = 9\n{meters}"
        );
        let settings = Settings::parse(&text).expect("it is right").expect("there is a gate");
        let Quantity::Metered(metering) = &settings.routes[0].quantity else { panic!("it has meters") };
        Metering::clone(metering)
    }

    fn openai() -> Metering {
        metering(
            "included_in = { cached_input = \"input\" }\n[gate.routes.meters]\ninput = [\"/usage/prompt_tokens\"]\n\
             cached_input = [\"/usage/prompt_tokens_details/cached_tokens\"]\noutput = [\"/usage/completion_tokens\"]\n",
        )
    }

    fn anthropic() -> Metering {
        metering(
            "[gate.routes.meters]\ninput = [\"/usage/input_tokens\", \"/message/usage/input_tokens\"]\n\
             cached_input = [\"/usage/cache_read_input_tokens\", \"/message/usage/cache_read_input_tokens\"]\n\
             output = [\"/usage/output_tokens\", \"/message/usage/output_tokens\"]\n",
        )
    }

    fn headers(content_type: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().expect("a value"))])
    }

    /// What is passed on of a stream that is split at `at`, and the units of each meter.
    fn stream(metering: &Metering, strips: bool, text: &str, at: usize) -> (String, Vec<Option<i64>>) {
        let headers = headers("text/event-stream; charset=utf-8");
        let mut reader = UsageReader::new(metering, &headers, strips);
        let mut passed = Vec::new();
        for part in [&text.as_bytes()[..at], &text.as_bytes()[at..]] {
            passed.extend_from_slice(&reader.read(metering, Bytes::copy_from_slice(part)));
        }
        passed.extend_from_slice(&reader.end(metering, true));
        (String::from_utf8(passed).expect("it is text"), reader.seen().to_vec())
    }

    const CHUNKS: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n\
        data: {\"choices\":[{\"delta\":{}}],\"usage\":null}\n\n";
    const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\
        \"prompt_tokens_details\":{\"cached_tokens\":3}}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    #[test]
    fn the_event_with_usage_alone_is_left_out_wherever_the_stream_is_split() {
        let metering = openai();
        // The order of the meters is that of their ids.
        let seen = vec![Some(3), Some(9), Some(4)];
        for end in ["\n", "\r\n", "\r"] {
            let all = format!("{CHUNKS}{USAGE}{DONE}").replace('\n', end);
            let rest = format!("{CHUNKS}{DONE}").replace('\n', end);
            for at in 0..=all.len() {
                assert_eq!(stream(&metering, false, &all, at), (all.clone(), seen.clone()), "at {at}");
                assert_eq!(stream(&metering, true, &all, at), (rest.clone(), seen.clone()), "at {at}");
            }
        }
        let (passed, _) = stream(&metering, true, &format!("{CHUNKS}{}", USAGE.trim_end()), 5);
        assert_eq!(passed, CHUNKS, "the stream may end without an empty line");
    }

    #[test]
    fn an_event_waits_for_its_end_only_if_one_may_be_left_out() {
        let metering = openai();
        let read = |strips| {
            let mut reader = UsageReader::new(&metering, &headers("text/event-stream"), strips);
            let first = reader.read(&metering, Bytes::from_static(b"data: {\"choi"));
            let second = reader.read(&metering, Bytes::from_static(b"ces\":[]}\n\ndata: {"));
            (first, second)
        };
        assert_eq!(read(false), ("data: {\"choi".into(), "ces\":[]}\n\ndata: {".into()));
        assert_eq!(read(true), ("".into(), "data: {\"choices\":[]}\n\n".into()), "it has no usage");
        let mut reader = UsageReader::new(&metering, &headers("text/event-stream"), true);
        let long = format!("data: {}", "x".repeat(EVENT_MAX_BYTES));
        assert_eq!(reader.read(&metering, long.clone().into()), long, "a long event does not wait");
    }

    #[test]
    fn the_last_value_of_each_meter_counts() {
        let text = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\
            \"cache_read_input_tokens\":7,\"output_tokens\":1}}}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n\
            event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":15}}\n\n\
            data: {\"usage\":{\"output_tokens\":null}}\n\n";
        assert_eq!(stream(&anthropic(), false, text, 40).1, [Some(7), Some(25), Some(15)]);
        let cut = &text[..text.find("event: message_delta").expect("it is there")];
        assert_eq!(stream(&anthropic(), false, cut, 3).1, [Some(7), Some(25), Some(1)]);
    }

    #[test]
    fn a_json_answer_is_read_at_its_end() {
        let metering = openai();
        let of = |text: &str, is_whole| {
            let mut reader = UsageReader::new(&metering, &headers("application/json"), true);
            assert!(!reader.may_strip());
            let (first, second) = text.split_at(text.len() / 2);
            assert_eq!(reader.read(&metering, Bytes::copy_from_slice(first.as_bytes())), first);
            assert_eq!(reader.read(&metering, Bytes::copy_from_slice(second.as_bytes())), second);
            assert!(reader.end(&metering, is_whole).is_empty());
            reader.seen().to_vec()
        };
        let text = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}"#;
        assert_eq!(of(text, true), [None, Some(9), Some(4)]);
        assert_eq!(of(text, false), [None, None, None]);
        assert_eq!(of("<html>", true), [None, None, None]);
        assert_eq!(of(&"[".repeat(10_000), true), [None, None, None]);
    }

    #[test]
    fn the_usage_of_an_answer_that_is_long_or_deep_is_in_its_end() {
        let metering = openai();
        let of = |text: &str| {
            let mut reader = UsageReader::new(&metering, &headers("application/json"), false);
            text.as_bytes().chunks(30_000).for_each(|part| {
                assert_eq!(reader.read(&metering, Bytes::copy_from_slice(part)), part);
                let Form::Json { text, .. } = &reader.form else { panic!("it is JSON") };
                assert!(text.len() <= ANSWER_MAX_BYTES, "no more is in memory");
            });
            reader.end(&metering, true);
            (reader.seen()[1], reader.is_unreadable)
        };
        let padded = |pad: &str| format!("{{\"pad\":{pad},\"usage\":{{\"prompt_tokens\":9}}}}");
        let long = format!("\"{}\"", "x".repeat(ANSWER_MAX_BYTES));
        assert_eq!(of(&padded(&long)), (Some(9), false));
        assert_eq!(of(&padded(&format!("{}{}", "[".repeat(500), "]".repeat(500)))), (Some(9), false));
        assert_eq!(of(&format!("{{\"pad\":{long}}}")), (None, true));
        assert_eq!(of(&format!("{{\"pad\":{}{}}}", "[".repeat(500), "]".repeat(500))), (None, true));
        assert_eq!((of("{}"), of(""), of("plain text")), ((None, false), (None, false), (None, true)));
    }

    #[test]
    fn an_event_that_is_long_or_deep_is_unreadable() {
        let metering = openai();
        let is_unreadable = |data: &str| {
            let mut reader = UsageReader::new(&metering, &headers("text/event-stream"), false);
            reader.read(&metering, format!("data: {data}\n\n").into());
            reader.is_unreadable
        };
        assert!(is_unreadable(&format!("{{\"a\":\"{}\"}}", "x".repeat(EVENT_MAX_BYTES))));
        assert!(is_unreadable(&format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500))));
        assert!(!is_unreadable("[DONE]") && !is_unreadable("{}"));
    }

    #[test]
    fn what_is_no_number_of_units_counts_as_absent() {
        let metering = openai();
        for (value, expected) in [
            ("-1", None),
            ("1.5", None),
            ("1e30", None),
            ("\"7\"", None),
            ("null", None),
            ("{}", None),
            ("0", Some(0)),
            ("18446744073709551615", Some(UNITS_MAX)),
            ("1000000001", Some(UNITS_MAX)),
            ("100000000000000000000000000000", None),
        ] {
            let text = format!("data: {{\"usage\":{{\"prompt_tokens\":{value}}}}}\n\n");
            assert_eq!(stream(&metering, false, &text, 0).1[1], expected, "{value}");
        }
    }

    #[test]
    fn a_compressed_answer_is_passed_on_unread() {
        let metering = openai();
        let mut headers = headers("text/event-stream");
        headers.insert(CONTENT_ENCODING, "gzip".parse().expect("a value"));
        let mut reader = UsageReader::new(&metering, &headers, true);
        assert!(!reader.may_strip());
        assert_eq!(reader.read(&metering, Bytes::from_static(USAGE.as_bytes())), USAGE);
        assert_eq!((reader.seen(), reader.events), (&[None, None, None][..], None));
    }

    #[test]
    fn a_part_of_a_meter_is_counted_once() {
        let quantities = |units: &[i64]| super::quantities(&openai(), units);
        let expected = |cached: i64, input: i64, output: i64| {
            let units = [("cached_input", cached), ("input", input), ("output", output)];
            units.map(|(id, units)| (id.to_owned(), units)).into_iter().collect::<Quantities>()
        };
        assert_eq!(quantities(&[3, 9, 4]), expected(3, 6, 4));
        assert_eq!(quantities(&[9, 3, 4]), expected(9, 0, 4));
    }
}
