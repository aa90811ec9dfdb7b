//! A stub of a model with the chat API of OpenAI: `POST /v1/chat/completions`, whole or as a stream
//! of events. It says what it was asked, again and again, until the limit of its output. Each word
//! counts as a token.

use std::convert::Infallible;

use axum::extract::Json;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};

/// The most words of an answer.
const WORDS_MAX: usize = 40;

#[derive(Deserialize)]
pub struct ChatRequest {
    model: String,
    messages: Vec<Message>,
    max_tokens: Option<usize>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: StreamOptions,
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

#[derive(Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// Answers a chat.
pub async fn complete(Json(request): Json<ChatRequest>) -> Response {
    let ChatRequest { model, messages, max_tokens, stream, stream_options } = request;
    let asked: Vec<&str> = messages.iter().flat_map(|message| message.content.split_whitespace()).collect();
    let limit = max_tokens.unwrap_or(WORDS_MAX).min(WORDS_MAX);
    let words: Vec<&str> = asked.iter().copied().cycle().take(limit).collect();
    let usage = json!({
        "prompt_tokens": asked.len(),
        "completion_tokens": words.len(),
        "total_tokens": asked.len() + words.len(),
    });
    if stream {
        let usage = stream_options.include_usage.then_some(usage);
        return events(&model, &words, usage).into_response();
    }
    let message = json!({ "role": "assistant", "content": words.join(" ") });
    let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
    let mut answer = head(&model, "chat.completion");
    answer["choices"] = json!([choice]);
    answer["usage"] = usage;
    Json(answer).into_response()
}

/// The fields that every part of an answer has.
fn head(model: &str, object: &str) -> Value {
    json!({ "id": "chatcmpl-1", "object": object, "created": 1, "model": model })
}

/// An event for each word, one with the usage if it was asked for, and the end.
fn events(
    model: &str,
    words: &[&str],
    usage: Option<Value>,
) -> Sse<impl stream::Stream<Item = Result<Event, Infallible>> + use<>> {
    let chunk = |choices: Value, usage: Option<&Value>| {
        let mut chunk = head(model, "chat.completion.chunk");
        chunk["choices"] = choices;
        if let Some(usage) = usage {
            chunk["usage"] = usage.clone();
        }
        Event::default().data(chunk.to_string())
    };
    let word = |word: &&str| {
        let delta = json!({ "role": "assistant", "content": format!("{word} ") });
        chunk(json!([{ "index": 0, "delta": delta, "finish_reason": null }]), None)
    };
    let last = json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }]);
    let mut events: Vec<Event> = words.iter().map(word).chain([chunk(last, None)]).collect();
    events.extend(usage.map(|usage| chunk(json!([]), Some(&usage))));
    events.push(Event::default().data("[DONE]"));
    Sse::new(stream::iter(events.into_iter().map(Ok)))
}
