//! Requests as bytes on an in-memory pipe, with a paused clock that advances when nothing else can happen.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Builder;
use tokio::time::Instant;

use crate::metrics::http::*;

/// Runs a test with a paused clock.
fn with_paused_clock<T>(test: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test)
}

/// Serves one connection to `client`; returns its result, and how long the connection lasted.
async fn connection<T>(client: impl AsyncFnOnce(DuplexStream) -> T) -> (T, Duration) {
    let (ours, theirs) = duplex(4 * 1024);
    let began = Instant::now();
    let serve = async {
        serve(ours, async |format| format!("{format:?}: {}\n", "x".repeat(20_000))).await;
        began.elapsed()
    };
    tokio::join!(client(theirs), serve)
}

/// Sends a request; returns the head and the body of the response.
fn ask(request: &str) -> (String, String) {
    let client = async |mut stream: DuplexStream| {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (answer, took) = with_paused_clock(connection(client));
    assert_eq!(took, Duration::ZERO, "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn has(head: &str, header: &str) -> bool {
    head.lines().any(|line| line.eq_ignore_ascii_case(header))
}

#[test]
fn a_get_request_gets_metrics_in_the_accepted_format() {
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
fn a_head_request_gets_no_body() {
    let (_, body) = ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (head, nothing) = ask("HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && nothing.is_empty(), "{head}");
    assert!(has(&head, &format!("content-length: {}", body.len())), "{head}");
}

#[test]
fn refusals_name_the_reason_and_the_remedy() {
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
fn old_and_malformed_requests_are_answered_at_once() {
    let (head, _) = ask("GET /metrics HTTP/1.0\r\n\r\n");
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
    for request in ["nonsense\r\n\r\n", "GET /metrics HTTP/9.9\r\n\r\n", "\0\0\0\0\r\n\r\n"] {
        let (head, _) = ask(request);
        assert!(head.starts_with("HTTP/1.1 400 Bad Request"), "{request:?}: {head}");
    }
}

#[test]
fn an_oversized_head_is_refused_before_its_end() {
    let long = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(2 * MAX_HEADER_BYTES));
    let many = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: x\r\n".repeat(MAX_HEADERS));
    for request in [long, many] {
        let client = async |stream: DuplexStream| {
            let (mut reading, mut writing) = tokio::io::split(stream);
            let mut answer = String::new();
            // The pipe breaks during the write.
            let write = async { drop(writing.write_all(request.as_bytes()).await) };
            let (_, read) = tokio::join!(write, reading.read_to_string(&mut answer));
            read.map(|_| answer).unwrap()
        };
        let (answer, took) = with_paused_clock(connection(client));
        assert!(answer.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{answer}");
        assert_eq!(took, Duration::ZERO);
    }
}

#[test]
fn slow_clients_are_disconnected_in_time() {
    let silent = async |mut stream: DuplexStream| stream.read_to_end(&mut Vec::new()).await.unwrap();
    assert_eq!(with_paused_clock(connection(silent)), (0, REQUEST_TIME));

    let a_byte_a_second = async |mut stream: DuplexStream| {
        for byte in "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".as_bytes() {
            if stream.write_all(&[*byte]).await.is_err() {
                return true;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        false
    };
    assert_eq!(with_paused_clock(connection(a_byte_a_second)), (true, REQUEST_TIME));

    let never_reads = async |mut stream: DuplexStream| {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        tokio::time::sleep(2 * CONNECTION_TIME).await;
    };
    assert_eq!(with_paused_clock(connection(never_reads)).1, CONNECTION_TIME);
}

#[test]
fn a_half_closed_client_gets_its_response() {
    let client = async |mut stream: DuplexStream| {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (answer, took) = with_paused_clock(connection(client));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(took, Duration::ZERO);
}

#[test]
fn a_connection_serves_one_request() {
    let twice = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2);
    let (_, rest) = ask(&twice);
    assert_eq!(rest.matches("Prometheus: ").count(), 1);
    assert!(!rest.contains("HTTP/1.1"), "one answer");
}
