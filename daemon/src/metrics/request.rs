//! Reads a request: the format that it accepts, and whether it addresses this machine.

use std::net::IpAddr;

use hyper::Request;
use hyper::header::{ACCEPT, HOST, HeaderMap};
use hyper::http::uri::Authority;
use udpchat_api::MetricsFormat;

/// Chooses the format: OpenMetrics if the request names it and prefers no other, otherwise the older text format, which every
/// scraper reads.
pub(super) fn wanted_format(headers: &HeaderMap) -> MetricsFormat {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (mut open, mut plain) = (0.0_f32, 0.0_f32);
    for range in values.flat_map(|value| value.split(',')).map(Range::of) {
        match range.media_type.as_str() {
            "application/openmetrics-text" if matches!(range.version, None | Some("1.0.0")) => {
                open = open.max(range.weight);
            }
            "text/plain" | "text/*" | "*/*" => plain = plain.max(range.weight),
            _ => {}
        }
    }
    if open > 0.0 && open >= plain { MetricsFormat::OpenMetrics } else { MetricsFormat::Prometheus }
}

/// A media range of an `Accept` header (RFC 9110, 12.5.1).
struct Range<'a> {
    /// In lower case.
    media_type: String,
    version: Option<&'a str>,
    /// 0 to 1; 1 if none is given, 0 if it is malformed.
    weight: f32,
}

impl<'a> Range<'a> {
    fn of(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut range = Self { media_type, version: None, weight: 1.0 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim() {
                "version" => range.version = Some(value.trim()),
                "q" | "Q" => range.weight = value.trim().parse().unwrap_or(0.0),
                _ => {}
            }
        }
        range
    }
}

/// Returns whether a request names this machine by a name that cannot be another's. A web page could otherwise resolve a
/// domain of its own to 127.0.0.1 and read the response (DNS rebinding); it cannot choose the `Host` header.
pub(super) fn is_for_this_machine<B>(request: &Request<B>) -> bool {
    let header = match request.headers().get(HOST) {
        Some(value) => match value.to_str().ok().and_then(|host| host.parse().ok()) {
            Some(host) => Some(host),
            None => return false,
        },
        None => None,
    };
    let hosts: [Option<&Authority>; 2] = [request.uri().authority(), header.as_ref()];
    // HTTP/1.0 needs no `Host`; browsers always send it.
    hosts.into_iter().flatten().all(|host| is_local(host.host()))
}

fn is_local(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(accept: &[&str]) -> MetricsFormat {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(ACCEPT, value.parse().unwrap());
        }
        wanted_format(&headers)
    }

    #[test]
    fn the_preferred_format_is_chosen() {
        use MetricsFormat::{OpenMetrics, Prometheus};
        for (accept, expected) in [
            (&[][..], Prometheus),
            (&["*/*"], Prometheus),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], Prometheus),
            (&["application/openmetrics-text"], OpenMetrics),
            (&["Application/OpenMetrics-Text; version=1.0.0; charset=utf-8"], OpenMetrics),
            (&["application/openmetrics-text;version=0.0.1"], Prometheus),
            (&["application/openmetrics-text;version=2.0.0, text/plain;q=0.1"], Prometheus),
            (&["application/openmetrics-text;q=0"], Prometheus),
            (&["application/openmetrics-text;q=0.4,text/plain;q=0.5"], Prometheus),
            (&["application/openmetrics-text;q=zero,text/plain"], Prometheus),
            (&["text/plain;q=0.5", "application/openmetrics-text;q=0.6"], OpenMetrics),
            (&["image/png"], Prometheus),
            (&[",;=,;q=;;"], Prometheus),
            // Prometheus 2.42 and 3.
            (
                &[
                    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                   text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ],
                OpenMetrics,
            ),
            (
                &["application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                   application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,\
                   text/plain;version=0.0.4;q=0.3,*/*;q=0.2"],
                OpenMetrics,
            ),
            (
                &[
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,\
                   text/plain;version=0.0.4;q=0.3",
                ],
                Prometheus,
            ),
        ] {
            assert_eq!(format(accept), expected, "{accept:?}");
        }
    }

    fn is_accepted(uri: &str, host: Option<&str>) -> bool {
        let mut request = Request::builder().uri(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        is_for_this_machine(&request.body(()).unwrap())
    }

    #[test]
    fn only_loopback_host_names_are_accepted() {
        for host in [
            "localhost",
            "LocalHost:17788",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]:17788",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_accepted("/metrics", Some(host)), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:17788",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.168.1.5",
            "[fe80::1]",
            "0.0.0.0",
            "",
            "a b",
            "[::1",
        ] {
            assert!(!is_accepted("/metrics", Some(host)), "{host}");
        }
        assert!(is_accepted("/metrics", None));
        assert!(is_accepted("http://localhost:9/metrics", Some("localhost:9")));
        assert!(!is_accepted("http://evil.example/metrics", Some("localhost")));
        assert!(!is_accepted("http://localhost/metrics", Some("evil.example")));
    }
}
