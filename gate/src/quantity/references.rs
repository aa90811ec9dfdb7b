//! Input that a body names and does not contain, or that is no text.
//!
//! The bytes of a body bound its tokens only if all input is text within it. An image, a file or an
//! earlier conversation has tokens that its few bytes do not show.

use serde_json::Value;

use super::members::folded;

/// The types of a part of a message whose tokens are in the body.
const TEXT_TYPES: [&str; 17] = [
    "text",
    "input_text",
    "output_text",
    "summary_text",
    "refusal",
    "message",
    "thinking",
    "redacted_thinking",
    "reasoning",
    "tool_use",
    "tool_result",
    "tool_call",
    "server_tool_use",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
];

/// The types that name other input, wherever they are.
const OTHER_TYPES: [&str; 12] = [
    "image_url",
    "image",
    "file",
    "document",
    "input_image",
    "input_file",
    "input_audio",
    "input_video",
    "audio",
    "video",
    "video_url",
    "item_reference",
];

/// The members with parts of messages.
const CONTENTS: [&str; 6] = ["content", "input", "messages", "output", "prompt", "system"];

/// The members that name other input, without underscores.
const OTHER_MEMBERS: [&str; 11] = [
    "previousresponseid",
    "conversation",
    "fileid",
    "fileids",
    "fileurl",
    "imageurl",
    "images",
    "inputaudio",
    "mcpservers",
    "vectorstoreids",
    "videourl",
];

/// Whether a body has input that its bytes do not bound. A body that nests too deeply to be
/// searched counts as one.
pub fn has_other_input(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).map_or(true, |body| names_other(&body))
}

fn names_other(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            let kind = members.get("type").and_then(Value::as_str);
            kind.is_some_and(|kind| OTHER_TYPES.contains(&kind))
                || members.iter().any(|(name, value)| {
                    let name = folded(name);
                    (OTHER_MEMBERS.contains(&&*name) && !value.is_null())
                        || (CONTENTS.contains(&&*name) && has_other_part(value))
                        || names_other(value)
                })
        }
        Value::Array(values) => values.iter().any(names_other),
        _ => false,
    }
}

/// Whether a list of parts has one that is not known to be text.
fn has_other_part(parts: &Value) -> bool {
    let is_other = |part: &Value| {
        let kind = part.get("type").and_then(Value::as_str);
        kind.is_some_and(|kind| !TEXT_TYPES.contains(&kind))
    };
    parts.as_array().is_some_and(|parts| parts.iter().any(is_other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_tools_are_bounded_by_their_bytes() {
        for body in [
            r#"{"messages":[{"role":"user","content":"a"}]}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"an image"}]}]}"#,
            r#"{"messages":[{"content":[{"type":"tool_result","content":[{"type":"text","text":"a"}]}]}]}"#,
            r#"{"input":[{"type":"message","content":[{"type":"input_text","text":"a"}]}]}"#,
            r#"{"tools":[{"type":"function","function":{"parameters":{"type":"object"}}}]}"#,
            r#"{"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}"#,
            r#"{"input":["a","b"],"previous_response_id":null}"#,
        ] {
            assert!(!has_other_input(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn other_input_is_found_wherever_it_is() {
        for body in [
            r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"https://a"}}]}]}"#,
            r#"{"messages":[{"content":[{"type":"document","source":{"type":"url","url":"https://a"}}]}]}"#,
            r#"{"messages":[{"content":[{"type":"tool_result","content":[{"type":"image"}]}]}]}"#,
            r#"{"messages":[{"content":[{"type":"something_new"}]}]}"#,
            r#"{"messages":[{"content":"a","Images":["aGk="]}]}"#,
            r#"{"input":[{"type":"item_reference","id":"a"}]}"#,
            r#"{"input":"a","previous_response_id":"resp_1"}"#,
            r#"{"input":"a","conversation":{"id":"conv_1"}}"#,
            r#"{"input":[{"content":[{"type":"text","file_id":"file_1"}]}]}"#,
        ] {
            assert!(has_other_input(body.as_bytes()), "{body}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(has_other_input(deep.as_bytes()), "it cannot be searched");
    }
}
