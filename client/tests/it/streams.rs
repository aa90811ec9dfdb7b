//! Pages that are turned, and the stream of a workspace.

use futures_util::StreamExt;
use tollkeeper_client::types::{ChargeRequest, ChargesQuery, EntriesQuery, StreamQuery};
use tollkeeper_client::{Client, Code};

use crate::cutting_proxy::CuttingProxy;
use crate::server::{PLATFORM_KEY, Server};

async fn charge(client: &Client, reference: &str) -> String {
    let request =
        ChargeRequest { reference: Some(reference.into()), ..ChargeRequest::new("support_message") };
    client.charges("acme").create(&request).await.expect("the credit covers it").id
}

#[tokio::test]
async fn rows_turn_the_pages() {
    let server = Server::start().await;
    let client = server.client_with_credit("10.00").await;
    let mut made = Vec::new();
    for number in 0..7 {
        made.push(charge(&client, &number.to_string()).await);
    }
    made.reverse();
    let list = client.charges("acme").list(&ChargesQuery::default()).limit(3);
    let page = list.page(None).await.expect("the first page");
    assert_eq!(page.data.len(), 3);
    let next = list.page(page.next_cursor.as_deref()).await.expect("the second page");
    assert_eq!(next.data[0].id, made[3]);
    let found: Vec<String> = list.clone().rows().map(|row| row.expect("a row").id).collect().await;
    assert_eq!(found, made);

    let query = ChargesQuery { reference: Some("4".into()), ..ChargesQuery::default() };
    let mut rows = client.charges("acme").list(&query).rows();
    assert_eq!(rows.next().await.expect("one row").expect("it can be read").id, made[2]);
    assert!(rows.next().await.is_none());

    let query = ChargesQuery { from: Some("yesterday".into()), ..ChargesQuery::default() };
    let mut rows = client.charges("acme").list(&query).rows();
    let error = rows.next().await.expect("an answer").expect_err("it is no time");
    assert_eq!(error.code(), Some(&Code::InvalidParameter));
    assert!(rows.next().await.is_none(), "it ends after an error");
}

#[tokio::test]
async fn the_stream_goes_on_where_it_broke() {
    let server = Server::start().await;
    let direct = server.client_with_credit("10.00").await;
    let proxy = CuttingProxy::to(server.address()).await;
    let client = Client::builder(&proxy.url, PLATFORM_KEY).build().expect("the address is valid");
    let kinds = Some("charge.opened".to_owned());
    let mut events = client.journal("acme").stream(&StreamQuery { kinds, ..StreamQuery::default() });
    let first = events.next().await.expect("an event").expect("the stream opens");
    assert_eq!((first.kind.as_str(), first.data["available"].as_i64()), ("balance", Some(1_000_000)));
    let mut found = Vec::new();
    let mut made = Vec::new();
    for reference in ["a", "b", "c"] {
        // What is under way on the connection is lost for the second one.
        proxy.lose_answers(usize::from(reference == "b"));
        made.push(charge(&direct, reference).await);
        loop {
            let event = events.next().await.expect("an event").expect("the stream goes on");
            if event.kind == "charge.opened" {
                found.push(event.data["charge"].as_str().unwrap_or_default().to_owned());
                break;
            }
            assert_eq!(event.kind, "balance", "{event:?}");
        }
    }
    assert_eq!(found, made);
    assert_eq!(proxy.left_to_lose(), 0);

    let mut unknown = client.journal("nobody").stream(&StreamQuery::default());
    let error = unknown.next().await.expect("an answer").expect_err("there is no such workspace");
    assert_eq!(error.code(), Some(&Code::WorkspaceNotFound));
    assert!(unknown.next().await.is_none());
}

#[tokio::test]
async fn entries_are_read_behind_a_position() {
    let server = Server::start().await;
    let client = server.client_with_credit("10.00").await;
    let all = client.journal("acme").list().rows().collect().await.expect("the journal can be read");
    assert!(all.len() >= 2 && all[0].number > all[1].number, "newest first");
    let query = EntriesQuery { after: Some("0".into()), ..EntriesQuery::default() };
    let page = client.journal("acme").after(&query).await.expect("the journal can be read");
    assert_eq!(page.data[0].number, 1);
    let query = EntriesQuery { after: page.after, ..EntriesQuery::default() };
    let page = client.journal("acme").after(&query).await.expect("the journal can be read");
    assert_eq!(page.data, []);
}
