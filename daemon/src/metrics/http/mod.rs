//! One connection of a scraper: one request and one response, within limits.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, VARY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use udpchat_api::MetricsFormat;

use super::request::{is_for_this_machine, wanted_format};

/// How long a connection may last in all. A scrape takes milliseconds.
pub(super) const CONNECTION_TIME: Duration = Duration::from_secs(10);

/// How long the request may take to arrive.
pub(super) const REQUEST_TIME: Duration = Duration::from_secs(2);

/// How long the request line and the headers may be together, in bytes. Prometheus sends about 400.
pub(super) const MAX_HEADER_BYTES: usize = 8 * 1024;

/// How many headers a request may have.
const MAX_HEADERS: usize = 64;

const PATH: &str = "/metrics";

/// Serves one request with the text that `render` returns, and closes the connection.
pub(super) async fn serve<Stream, Text>(stream: Stream, render: impl Fn(MetricsFormat) -> Text)
where
    Stream: AsyncRead + AsyncWrite + Unpin,
    Text: Future<Output = String>,
{
    let render = &render;
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(match refusal(&request) {
            Some(refusal) => refusal,
            None => {
                let format = wanted_format(request.headers());
                response(StatusCode::OK, format.content_type(), render(format).await)
            }
        })
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        // A client may close its writing side after its request.
        .half_close(true)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS)
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIME)
        .serve_connection(TokioIo::new(stream), service);
    // A client that is too slow or does not speak HTTP is disconnected. The error needs no report.
    drop(timeout(CONNECTION_TIME, connection).await);
}

/// Returns the response to a request that is refused.
fn refusal(request: &Request<Incoming>) -> Option<Response<Full<Bytes>>> {
    let refuse =
        |status, text: &str| Some(response(status, "text/plain; charset=utf-8", format!("{text}\n")));
    if !is_for_this_machine(request) {
        return refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "metrics are served to this machine only: use localhost or a loopback address; a reverse proxy must send \
             `Host: localhost`",
        );
    }
    if request.uri().path() != PATH {
        return refuse(StatusCode::NOT_FOUND, "not found; the metrics are at /metrics");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = refuse(StatusCode::METHOD_NOT_ALLOWED, "the metrics are read with GET or HEAD");
        if let Some(refusal) = &mut refusal {
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        return refusal;
    }
    None
}

fn response(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    response
}

#[cfg(test)]
mod tests;
