//! Tests of the client, against the daemon's end of a connection.

use super::*;
use crate::ErrorKind;
use crate::call::{AckParams, SendParams, VersionParams};
use tokio::io::{AsyncBufReadExt, BufReader};

/// Returns a client, and the daemon's end of its connection.
fn connected() -> (Client, Connection) {
    let (ours, theirs) = Connection::pair().unwrap();
    (Client::new(Path::new("s"), ours), theirs)
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// Answers as the daemon does: reads the next request only after the client has taken the answer.
async fn answer_all(stream: Connection, mut answer: impl FnMut(u64) -> String) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let request: Value = serde_json::from_str(&line).unwrap();
        writer.write_all(answer(request["id"].as_u64().unwrap()).as_bytes()).await.unwrap();
    }
}

fn result(id: u64, result: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n")
}

#[test]
fn large_requests_and_answers_do_not_deadlock() {
    run(async {
        let (mut client, theirs) = connected();
        let large = format!("\"{}\"", "x".repeat(300_000));
        let daemon = tokio::spawn(answer_all(theirs, move |id| result(id, &large)));
        let text = Some("x".repeat(300_000));
        for _ in 0..20 {
            client.ask(&SendParams { text: text.clone(), ..SendParams::default() }).unwrap();
        }
        assert!(client.backlog_bytes() > 5_000_000);
        for left in (0..20).rev() {
            let answer: String = client.answer().await.unwrap();
            assert_eq!((answer.len(), client.in_flight()), (300_000, left));
        }
        assert_eq!(client.backlog_bytes(), 0);
        drop(client);
        daemon.await.unwrap();
    });
}

#[test]
fn answers_are_in_order_and_errors_belong_to_one_request() {
    run(async {
        let (mut client, theirs) = connected();
        let error = serde_json::to_string(&ErrorObject::new(ErrorKind::SendFailed, "no route")).unwrap();
        tokio::spawn(answer_all(theirs, move |id| match id {
            2 => format!("{{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{error}}}\n"),
            // Preceded by a notification that this version does not know.
            3 => {
                format!("{{\"jsonrpc\":\"2.0\",\"method\":\"news\",\"params\":{{}}}}\n{}", result(3, "3"))
            }
            id => result(id, &id.to_string()),
        }));
        (0..4).for_each(|_| client.ask(&VersionParams {}).unwrap());
        assert_eq!(client.answer::<u64>().await.unwrap(), 1);
        let refused = client.answer::<u64>().await.unwrap_err();
        assert!(matches!(refused, ClientError::Refused(error) if error.data.kind == ErrorKind::SendFailed));
        assert_eq!(client.answer::<u64>().await.unwrap(), 3);
        assert_eq!(client.answer::<u64>().await.unwrap(), 4);
        assert_eq!(client.in_flight(), 0);
    });
}

#[test]
fn a_cancelled_wait_loses_nothing() {
    run(async {
        let (mut client, mut theirs) = connected();
        client.ask(&VersionParams {}).unwrap();
        for half in result(1, "\"whole\"").as_bytes().chunks(10) {
            assert!(timeout(Duration::from_millis(1), client.answer::<String>()).await.is_err());
            theirs.write_all(half).await.unwrap();
        }
        assert_eq!(client.answer::<String>().await.unwrap(), "whole");
    });
}

#[test]
fn a_program_that_was_stopped_still_reads_its_answer() {
    run(async {
        let period = Duration::from_millis(10);
        let stopped = async {
            std::thread::sleep(100 * period);
            // The answer is there, but the program has not looked for it yet.
            tokio::time::sleep(period).await;
        };
        assert_eq!(within(50, period, stopped).await, Some(()));
        assert_eq!(within(3, period, std::future::pending::<()>()).await, None);
    });
}

#[test]
fn an_answer_with_another_id_is_an_error() {
    run(async {
        let (mut client, mut theirs) = connected();
        client.ask(&VersionParams {}).unwrap();
        theirs.write_all(result(7, "1").as_bytes()).await.unwrap();
        let error = client.answer::<IgnoredAny>().await.unwrap_err();
        assert!(matches!(error, ClientError::Protocol { .. }), "{error:?}");
    });
}

#[test]
fn an_error_before_closing_outweighs_the_failed_write() {
    run(async {
        let (mut client, mut theirs) = connected();
        let error = serde_json::to_string(&ErrorObject::new(ErrorKind::Busy, "too many")).unwrap();
        let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{error}}}\n");
        theirs.write_all(line.as_bytes()).await.unwrap();
        drop(theirs);
        client.ask(&VersionParams {}).unwrap();
        client.ask(&VersionParams {}).unwrap();
        let refused = client.answer::<IgnoredAny>().await.unwrap_err();
        assert!(matches!(refused, ClientError::Refused(error) if error.data.kind == ErrorKind::Busy));
        let closed = client.answer::<IgnoredAny>().await.unwrap_err();
        assert!(matches!(closed, ClientError::Closed), "{closed:?}");
        // A later request has the same reason: the daemon has not read it.
        let refused = client.call(&VersionParams {}).await.unwrap_err();
        assert!(matches!(refused, ClientError::Refused(error) if error.data.kind == ErrorKind::Busy));
    });
}

fn entry(id: u64) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"entry\",\"params\":{{\"type\":\"gap\",\"id\":{id},\
         \"at\":\"2026-11-22T06:03:06Z\",\"lost\":1,\"reason\":\"queue_full\"}}}}\n"
    )
}

#[test]
fn entries_before_an_answer_are_queued() {
    run(async {
        let (mut client, mut theirs) = connected();
        client.ask(&VersionParams {}).unwrap();
        let lines = [entry(7), entry(8), result(1, "1"), entry(9)].concat();
        theirs.write_all(lines.as_bytes()).await.unwrap();
        assert_eq!(client.answer::<u64>().await.unwrap(), 1);
        for id in 7..10 {
            assert_eq!(client.next_entry().await.unwrap().unwrap().id(), id);
        }
        theirs.shutdown().await.unwrap();
        assert!(client.next_entry().await.unwrap().is_none());
    });
}

#[test]
fn the_reason_for_the_end_reaches_a_follower() {
    run(async {
        let (mut client, mut theirs) = connected();
        let error = serde_json::to_string(&ErrorObject::new(ErrorKind::NotPermitted, "lost")).unwrap();
        let line = format!("{}{{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{error}}}\n", entry(7));
        theirs.write_all(line.as_bytes()).await.unwrap();
        drop(theirs);
        assert_eq!(client.next_entry().await.unwrap().unwrap().id(), 7);
        let refused = client.next_entry().await.unwrap_err();
        assert!(matches!(refused, ClientError::Refused(error) if error.data.kind == ErrorKind::NotPermitted));
        assert!(client.next_entry().await.unwrap().is_none());
    });
}

#[test]
fn a_call_discards_the_answers_to_abandoned_calls() {
    run(async {
        let (mut client, mut theirs) = connected();
        for _ in 0..2 {
            let abandoned = timeout(Duration::from_millis(1), client.call(&VersionParams {}));
            assert!(abandoned.await.is_err());
        }
        let answer = [result(1, "{}"), result(2, "{}"), result(3, "{\"read\":5,\"unread\":0}")].concat();
        theirs.write_all(answer.as_bytes()).await.unwrap();
        assert_eq!(client.call(&AckParams { consumer: None, id: 5 }).await.unwrap().read, 5);
        assert_eq!(client.in_flight(), 0);
    });
}
