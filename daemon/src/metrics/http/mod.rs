//! One connection of a scraper: one request, one answer, and all of it within limits.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, VARY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use udpchat_api::MetricsFormat;

use super::request::{is_meant_for_this_machine, wanted_format};

/// How long a connection may last, from its first to its last byte. A scrape takes milliseconds.
pub(super) const CONNECTION_TIME: Duration = Duration::from_secs(10);

/// How large the line and the headers of a request may be together, in bytes. Prometheus sends some 400.
pub(super) const MAX_HEADER_BYTES: usize = 8 * 1024;

/// How many headers a request may have.
const MAX_HEADERS: usize = 64;

const PATH: &str = "/metrics";

/// Serves one request, whose answer `render` makes, and closes the connection.
pub(super) async fn serve<Stream, Answer>(stream: Stream, render: impl Fn(MetricsFormat) -> Answer)
where
    Stream: AsyncRead + AsyncWrite + Unpin,
    Answer: Future<Output = String>,
{
    let render = &render;
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(match refusal(&request) {
            Some(refusal) => refusal,
            None => {
                let format = wanted_format(request.headers());
                answer(StatusCode::OK, format.content_type(), render(format).await)
            }
        })
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        // A script may end its side when it has asked.
        .half_close(true)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS)
        // The limit below is for all of the connection.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever is too slow or speaks no HTTP is gone. There is nobody else to tell.
    drop(timeout(CONNECTION_TIME, connection).await);
}

/// Says what is wrong with a request, if anything is.
fn refusal(request: &Request<Incoming>) -> Option<Response<Full<Bytes>>> {
    let refuse = |status, text: &str| Some(answer(status, "text/plain; charset=utf-8", format!("{text}\n")));
    if !is_meant_for_this_machine(request) {
        return refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "this is served to its own machine only: ask for localhost or a loopback address; a reverse proxy sends \
             `Host: localhost`",
        );
    }
    if request.uri().path() != PATH {
        return refuse(StatusCode::NOT_FOUND, "there is nothing here; the metrics are at /metrics");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = refuse(StatusCode::METHOD_NOT_ALLOWED, "the metrics can be read, with GET or HEAD");
        if let Some(refusal) = &mut refusal {
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        return refusal;
    }
    None
}

fn answer(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
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
