//! A message of a running server to an endpoint is verified as a receiver does it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tollkeeper_client::types::{ChargeRequest, WebhookEndpointRequest};
use tollkeeper_client::{WebhookError, verify_webhook};

use crate::server::Server;

/// How long the server may take to send a message.
const MESSAGE_WITHIN: Duration = Duration::from_secs(60);

/// A request that arrived: its headers, with names in lower case, and its body.
struct Arrived {
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

/// Reads a request, and answers that it was taken.
async fn take(mut stream: TcpStream) -> Arrived {
    let mut bytes = Vec::new();
    loop {
        assert!(stream.read_buf(&mut bytes).await.expect("the server sends") > 0, "a whole request");
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is text");
        let headers: HashMap<String, String> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length: usize = headers["content-length"].parse().expect("a length is a number");
        if bytes.len() >= end + 4 + length {
            let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
            stream.write_all(answer).await.expect("the server reads");
            return Arrived { headers, body: bytes[end + 4..].to_vec() };
        }
    }
}

#[tokio::test]
async fn a_message_of_the_server_is_verified() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port().to_string();
    let server = Server::start_with(&[
        ("TOLLKEEPER_SECRET_KEY", &"5a".repeat(32)),
        ("TOLLKEEPER_WEBHOOKS_ALLOW_HTTP", "true"),
        ("TOLLKEEPER_WEBHOOKS_ALLOW_PRIVATE", "true"),
        ("TOLLKEEPER_WEBHOOKS_PORTS", &port),
    ])
    .await;
    let client = server.client_with_credit("1.00").await;
    let mut request = WebhookEndpointRequest::new(format!("http://127.0.0.1:{port}/hook"));
    request.kinds = Some(vec!["charge.settled".to_owned()]);
    let endpoint = client.webhook_endpoints().create(&request).await.expect("the endpoint is new");
    let secret = endpoint.secret.clone().expect("a new endpoint shows its secret");
    let charge = client.charges("acme").create(&ChargeRequest::new("support_message")).await;
    let charge = charge.expect("there is credit");

    let arrives = async {
        let (stream, _) = listener.accept().await.expect("the server connects");
        take(stream).await
    };
    let Arrived { headers, body } = timeout(MESSAGE_WITHIN, arrives).await.expect("the message comes");
    let header = |name: &str| headers.get(name).map(String::as_str);
    let message = verify_webhook(&body, header, &[&secret]).expect("the server signed it");
    assert_eq!(message.kind, "charge.settled");
    assert!(String::from_utf8_lossy(&body).contains(&charge.id), "{message:?}");

    let other = client.webhook_endpoints().rotate_secret(&endpoint.id).await.expect("it is there");
    let other = other.secret.expect("a new secret is shown");
    assert_eq!(verify_webhook(&body, header, &[&other]), Err(WebhookError::WrongSignature));
    assert!(verify_webhook(&body, header, &[&other, &secret]).is_ok(), "during a rotation");
    let changed = [&body[..body.len() - 1], b" }"].concat();
    assert_eq!(verify_webhook(&changed, header, &[&secret]), Err(WebhookError::WrongSignature));
}
