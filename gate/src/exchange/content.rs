//! What an event of a stream says about its output, as far as its dialect is known.

use serde_json::Value;

/// The members of a delta that are not output of the model.
const NO_OUTPUT: [&str; 5] = ["type", "role", "id", "signature", "finish_reason"];

/// Whether an event has usage and nothing else that a client reads.
pub fn is_usage_alone(event: &Value) -> bool {
    event["choices"].as_array().is_some_and(Vec::is_empty) && event["usage"].is_object()
}

/// Whether an event says that the operation failed.
pub fn is_error(event: &Value) -> bool {
    event.get("error").is_some_and(|error| !error.is_null())
        || matches!(event["type"].as_str(), Some("error" | "response.failed"))
}

/// Whether an event has a part of the output.
pub fn has_output(event: &Value) -> bool {
    match (&event["choices"], &event["type"]) {
        (Value::Array(choices), _) => !choices.is_empty(),
        (_, Value::String(kind)) => kind.ends_with("delta") && kind != "message_delta",
        _ => !is_error(event),
    }
}

/// Whether an event has output that is not empty. One of an unknown dialect may have.
pub fn has_text(event: &Value) -> bool {
    let is_known = event["choices"].is_array() || event["type"].is_string();
    if is_known { text_bytes(event) > 0 } else { has_output(event) }
}

/// The bytes of output in an event: the texts of its deltas.
pub fn text_bytes(event: &Value) -> i64 {
    let of = |part: &Value| texts(&part["delta"]) + texts(&part["text"]);
    let choices = event["choices"].as_array();
    let bytes = choices.map_or_else(|| of(event), |choices| choices.iter().map(of).sum());
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn texts(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(texts).sum(),
        Value::Object(members) => {
            let members = members.iter().filter(|(name, _)| !NO_OUTPUT.contains(&name.as_str()));
            members.map(|(_, value)| texts(value)).sum()
        }
        _ => 0,
    }
}

/// The value of the member `usage` of an object, of which this is the end. What is deeper in the
/// object, where a client could have put it, does not count.
pub fn usage_at_end(tail: &[u8]) -> Option<Value> {
    const NAME: &[u8] = b"\"usage\"";
    let found = |at: &usize| tail[*at..].starts_with(NAME);
    (0..tail.len()).rev().filter(found).find_map(|at| {
        let rest = tail[at + NAME.len()..].trim_ascii_start().strip_prefix(b":")?;
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
        let usage = values.next()?.ok().filter(Value::is_object)?;
        (closed(&rest[values.byte_offset()..]) == Some(1)).then_some(usage)
    })
}

/// How many objects and lists the end of a JSON text closes that it does not open; `None` if it
/// ends within a text.
fn closed(end: &[u8]) -> Option<i64> {
    let (mut closed, mut in_text, mut is_escaped) = (0, false, false);
    for byte in end {
        match (in_text, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'}' | b']') => closed += 1,
            (false, b'{' | b'[') => closed -= 1,
            _ => {}
        }
    }
    (!in_text).then_some(closed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_texts_of_deltas_are_counted() {
        for (event, bytes) in [
            (json!({"choices": [{"delta": {"role": "assistant", "content": "four"}}]}), 4),
            (json!({"choices": [{"text": "ab"}, {"text": "c"}]}), 3),
            (
                json!({"choices": [{"delta": {"tool_calls": [{"id": "x", "function": {"arguments": "{}"}}]}}]}),
                2,
            ),
            (json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "abc"}}), 3),
            (json!({"type": "response.output_text.delta", "delta": "abcde"}), 5),
            (json!({"choices": [], "usage": {}}), 0),
            (json!({"type": "ping"}), 0),
        ] {
            assert_eq!(text_bytes(&event), bytes, "{event}");
        }
    }

    #[test]
    fn an_event_with_an_error_has_no_output() {
        for event in [json!({"error": {"message": "a"}}), json!({"type": "error", "error": {}})] {
            assert!(is_error(&event) && !has_output(&event) && !has_text(&event), "{event}");
        }
        let begun = json!({"choices": [{"delta": {"role": "assistant", "content": ""}}], "error": null});
        assert!(!is_error(&begun) && !has_text(&begun) && has_output(&begun));
        assert!(has_text(&json!({"response": "a"})), "a dialect that is not known");
    }

    #[test]
    fn usage_is_found_in_the_end_of_an_object() {
        let of = |tail: &str| usage_at_end(tail.as_bytes()).map(|usage| usage["a"].clone());
        assert_eq!(of(r#"xx"}],"usage": {"a":7}}"#), Some(7.into()));
        assert_eq!(of("xx\"}],\"usage\":{\"a\":7},\"end\":[\"}\\\"]\",{}]}\n"), Some(7.into()));
        for hidden in [
            r#"xx"usage":{"a":0}}}"#,
            r#"xx"},"meta":{"usage":{"a":0}}}"#,
            r#"xx \"usage\":{\"a\":0}"}"#,
            r#"xx"usage","b":{"a":0}}"#,
            r#"xx,"usage":{"a":"#,
            r#"xx,"usage":null}"#,
            "",
        ] {
            assert_eq!(of(hidden), None, "{hidden}");
        }
        assert_eq!(of(r#","usage":{"a":7},"meta":{"usage":{"a":0}}}"#), Some(7.into()));
    }
}
