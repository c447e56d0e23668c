//! Requests as bytes on a wire of the test's own, and time that passes by itself when nothing else happens.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Builder;
use tokio::time::Instant;

use crate::metrics::http::*;

/// Lets time stand still while anything else can happen.
fn on_a_clock_of_its_own<T>(test: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test)
}

/// Serves one connection, with the other end of its wire in the hands of `client`; returns what that made of it, and how
/// long the connection lasted.
async fn connection<T>(client: impl AsyncFnOnce(DuplexStream) -> T) -> (T, Duration) {
    let (ours, theirs) = duplex(4 * 1024);
    let began = Instant::now();
    let serve = async {
        serve(ours, async |format| format!("{format:?}: {}\n", "x".repeat(20_000))).await;
        began.elapsed()
    };
    tokio::join!(client(theirs), serve)
}

/// Asks, and returns the head and the body of the answer.
fn ask(request: &str) -> (String, String) {
    let client = async |mut stream: DuplexStream| {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (answer, took) = on_a_clock_of_its_own(connection(client));
    assert_eq!(took, Duration::ZERO, "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn has(head: &str, header: &str) -> bool {
    head.lines().any(|line| line.eq_ignore_ascii_case(header))
}

#[test]
fn the_metrics_come_in_the_format_that_is_wanted_and_the_connection_ends() {
    let (head, body) = ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(body.starts_with("Prometheus: xxx") && body.len() > 20_000, "{head}");
    assert!(has(&head, "content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(
        has(&head, &format!("content-length: {}", body.len())) && has(&head, "connection: close"),
        "{head}"
    );
    assert!(has(&head, "vary: accept") && has(&head, "cache-control: no-store"), "{head}");
    let (head, body) =
        ask("GET /metrics?x=y HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text\r\n\r\n");
    assert!(body.starts_with("OpenMetrics: xxx"), "{head}");
    assert!(has(&head, "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{head}");
}

#[test]
fn a_head_request_gets_the_head_alone() {
    let (_, body) = ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (head, nothing) = ask("HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && nothing.is_empty(), "{head}");
    assert!(has(&head, &format!("content-length: {}", body.len())), "{head}");
}

#[test]
fn what_is_wrong_with_a_request_is_said_with_what_to_do() {
    for (request, status, text) in [
        ("GET / HTTP/1.1\r\nHost: localhost", "404 Not Found", "the metrics are at /metrics"),
        ("GET /metrics/ HTTP/1.1\r\nHost: localhost", "404 Not Found", "/metrics"),
        (
            "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0",
            "405 Method Not Allowed",
            "GET or HEAD",
        ),
        ("DELETE /metrics HTTP/1.1\r\nHost: localhost", "405 Method Not Allowed", "GET or HEAD"),
        ("GET /metrics HTTP/1.1\r\nHost: evil.example", "421 Misdirected Request", "Host: localhost"),
        (
            "GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost",
            "421 Misdirected Request",
            "localhost",
        ),
    ] {
        let (head, body) = ask(&format!("{request}\r\n\r\n"));
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {head}");
        assert!(body.contains(text) && !body.contains("xxx"), "{request}: {body}");
        assert_eq!(status.starts_with("405"), has(&head, "allow: GET, HEAD"), "{head}");
    }
}

#[test]
fn old_and_broken_requests_end_at_once() {
    let (head, _) = ask("GET /metrics HTTP/1.0\r\n\r\n");
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
    for request in ["nonsense\r\n\r\n", "GET /metrics HTTP/9.9\r\n\r\n", "\0\0\0\0\r\n\r\n"] {
        let (head, _) = ask(request);
        assert!(head.starts_with("HTTP/1.1 400 Bad Request"), "{request:?}: {head}");
    }
}

#[test]
fn a_head_that_is_too_large_is_refused_before_it_has_ended() {
    let long = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(2 * MAX_HEADER_BYTES));
    let many = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: x\r\n".repeat(MAX_HEADERS));
    for request in [long, many] {
        let client = async |stream: DuplexStream| {
            let (mut reading, mut writing) = tokio::io::split(stream);
            let mut answer = String::new();
            // The wire breaks while it still writes.
            let write = async { drop(writing.write_all(request.as_bytes()).await) };
            let (_, read) = tokio::join!(write, reading.read_to_string(&mut answer));
            read.map(|_| answer).unwrap()
        };
        let (answer, took) = on_a_clock_of_its_own(connection(client));
        assert!(answer.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{answer}");
        assert_eq!(took, Duration::ZERO);
    }
}

#[test]
fn whoever_is_slow_is_cut_off_after_ten_seconds() {
    let cut = Duration::from_secs(10);
    let silent = async |mut stream: DuplexStream| stream.read_to_end(&mut Vec::new()).await.unwrap();
    assert_eq!(on_a_clock_of_its_own(connection(silent)), (0, cut));

    let a_byte_a_second = async |mut stream: DuplexStream| {
        for byte in "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".as_bytes() {
            if stream.write_all(&[*byte]).await.is_err() {
                return true;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        false
    };
    assert_eq!(on_a_clock_of_its_own(connection(a_byte_a_second)), (true, cut));

    let never_reads = async |mut stream: DuplexStream| {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        tokio::time::sleep(2 * cut).await;
    };
    assert_eq!(on_a_clock_of_its_own(connection(never_reads)).1, cut);
}

#[test]
fn a_client_that_ends_its_side_still_gets_its_answer() {
    let client = async |mut stream: DuplexStream| {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (answer, took) = on_a_clock_of_its_own(connection(client));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(took, Duration::ZERO);
}

#[test]
fn a_second_request_on_the_same_connection_is_not_answered() {
    let twice = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2);
    let (_, rest) = ask(&twice);
    assert_eq!(rest.matches("Prometheus: ").count(), 1);
    assert!(!rest.contains("HTTP/1.1"), "one answer");
}
