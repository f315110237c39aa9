//! What the proxy has counted since it started, and the text that Prometheus reads (exposition format 0.0.4).
//!
//! Counts only grow while a route or an endpoint is in the table; one that comes back after it was gone starts anew, which Prometheus takes for a
//! restart.

use crate::fault::Fault;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Upper bounds of the buckets of times, microseconds. One more bucket holds what is above.
pub const BOUNDS_US: [u64; 14] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000, 60_000_000];

/// Buckets of times.
pub const BUCKETS: usize = BOUNDS_US.len() + 1;

/// Of one route or endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Answers by the first digit of their status, 1 to 5.
    pub answers: [u64; 5],
    /// Clients that left before there was an answer.
    pub left: u64,
    /// Answers that did not get to their end.
    pub broken: u64,
    /// Answers by how long their first byte took, counted from the request's head.
    pub times: [u64; BUCKETS],
    /// All of these times together, microseconds.
    pub times_us: u64,
    /// Of requests' bodies.
    pub bytes_in: u64,
    /// Of answers' bodies, as they were sent.
    pub bytes_out: u64,
    /// Requests that have no whole answer yet.
    pub active: u64,
    /// Requests that were sent once more, because no application had seen them.
    pub retries: u64,
    /// Requests beyond a rate limit.
    pub limited: u64,
    /// Tries that brought no answer which could be passed on, by [`Fault`].
    #[serde(default)]
    pub faults: [u64; Fault::COUNT],
    /// Headers of requests that no client may send: names with `_` that the route does not let pass, and those only the proxy writes.
    #[serde(default)]
    pub headers_dropped: u64,
}

impl Tally {
    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.answers.iter_mut().zip(other.answers).for_each(|(sum, more)| *sum += more);
        self.times.iter_mut().zip(other.times).for_each(|(sum, more)| *sum += more);
        self.faults.iter_mut().zip(other.faults).for_each(|(sum, more)| *sum += more);
        for (sum, more) in [
            (&mut self.left, other.left),
            (&mut self.broken, other.broken),
            (&mut self.times_us, other.times_us),
            (&mut self.bytes_in, other.bytes_in),
            (&mut self.bytes_out, other.bytes_out),
            (&mut self.active, other.active),
            (&mut self.retries, other.retries),
            (&mut self.limited, other.limited),
            (&mut self.headers_dropped, other.headers_dropped),
        ] {
            *sum = sum.wrapping_add(more);
        }
    }
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RouteTally {
    /// Whose.
    pub app: String,
    /// Its path.
    pub route: String,
    /// What was counted.
    pub tally: Tally,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metrics {
    /// Routes of the table in use.
    pub routes: Vec<RouteTally>,
    /// Endpoints by id.
    pub endpoints: BTreeMap<String, Tally>,
    /// Open connections of clients.
    pub connections: u64,
    /// TLS handshakes made anew.
    pub handshakes_full: u64,
    /// TLS handshakes that went on from an earlier one.
    pub handshakes_resumed: u64,
    /// TLS handshakes that came to nothing.
    pub handshakes_failed: u64,
    /// Requests that nobody could carry, by what was wrong with them.
    #[serde(default)]
    pub refused: BTreeMap<String, u64>,
    /// Questions for names that were refused, by reason.
    #[serde(default)]
    pub names_refused: BTreeMap<String, u64>,
    /// Lines of the access log that were thrown away, because the disk was slower or full.
    pub log_dropped: u64,
    /// When certificates end, Unix seconds, by name. The agent knows.
    #[serde(default)]
    pub certificates: BTreeMap<String, u64>,
}

/// A family that is one number of each tally.
type Simple = (&'static str, &'static str, &'static str, fn(&Tally) -> u64);

const SIMPLE: [Simple; 8] = [
    ("request_bytes_total", "counter", "Bytes of requests' bodies.", |t| t.bytes_in),
    ("response_bytes_total", "counter", "Bytes of answers' bodies, as sent.", |t| t.bytes_out),
    ("requests_active", "gauge", "Requests without a whole answer yet.", |t| t.active),
    ("requests_left_total", "counter", "Clients that left before there was an answer.", |t| t.left),
    ("responses_broken_total", "counter", "Answers that did not get to their end.", |t| t.broken),
    ("retries_total", "counter", "Requests sent once more.", |t| t.retries),
    ("limited_total", "counter", "Requests beyond a rate limit.", |t| t.limited),
    ("headers_dropped_total", "counter", "Headers that the route does not let pass.", |t| t.headers_dropped),
];

impl Metrics {
    /// As Prometheus reads it.
    pub fn to_prometheus(&self) -> String {
        let routes: Vec<(String, &Tally)> =
            self.routes.iter().map(|r| (format!("app=\"{}\",route=\"{}\"", escaped(&r.app), escaped(&r.route)), &r.tally)).collect();
        let endpoints: Vec<(String, &Tally)> =
            self.endpoints.iter().map(|(id, tally)| (format!("endpoint=\"{}\"", escaped(id)), tally)).collect();
        let mut out = Text::default();
        for (prefix, tallies) in [("landfall_", &routes), ("landfall_endpoint_", &endpoints)] {
            out.answers(prefix, tallies);
            out.times(prefix, tallies);
            out.faults(prefix, tallies);
            for (name, kind, help, of) in SIMPLE {
                // Whom a limit stops never gets to an endpoint, and what is dropped was dropped before.
                if prefix.ends_with("endpoint_") && ["limited_total", "headers_dropped_total"].contains(&name) {
                    continue;
                }
                out.family(&format!("{prefix}{name}"), kind, help);
                for (labels, tally) in tallies {
                    out.sample(&format!("{prefix}{name}"), labels, of(tally));
                }
            }
        }
        out.family("landfall_connections", "gauge", "Open connections of clients.");
        out.sample("landfall_connections", "", self.connections);
        out.family("landfall_tls_handshakes_total", "counter", "TLS handshakes.");
        for (kind, count) in [("full", self.handshakes_full), ("resumed", self.handshakes_resumed), ("failed", self.handshakes_failed)] {
            out.sample("landfall_tls_handshakes_total", &format!("kind=\"{kind}\""), count);
        }
        out.family("landfall_refused_total", "counter", "Requests that were malformed, or spelled to get around a guard.");
        for (reason, count) in &self.refused {
            out.sample("landfall_refused_total", &format!("reason=\"{}\"", escaped(reason)), *count);
        }
        out.family("landfall_names_refused_total", "counter", "Containers' questions for names that were refused.");
        for (reason, count) in &self.names_refused {
            out.sample("landfall_names_refused_total", &format!("reason=\"{}\"", escaped(reason)), *count);
        }
        out.family("landfall_access_log_dropped_total", "counter", "Lines of the access log that were thrown away.");
        out.sample("landfall_access_log_dropped_total", "", self.log_dropped);
        out.family("landfall_certificate_expiry_timestamp_seconds", "gauge", "When certificates end.");
        for (name, until) in &self.certificates {
            out.sample("landfall_certificate_expiry_timestamp_seconds", &format!("name=\"{}\"", escaped(name)), *until);
        }
        out.0
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: u64) {
        let _ = if labels.is_empty() { writeln!(self.0, "{name} {value}") } else { writeln!(self.0, "{name}{{{labels}}} {value}") };
    }

    fn answers(&mut self, prefix: &str, tallies: &[(String, &Tally)]) {
        let name = format!("{prefix}requests_total");
        self.family(&name, "counter", "Requests answered, by class of status.");
        for (labels, tally) in tallies {
            for (class, count) in (1..).zip(tally.answers) {
                self.sample(&name, &format!("{labels},class=\"{class}xx\""), count);
            }
        }
    }

    fn faults(&mut self, prefix: &str, tallies: &[(String, &Tally)]) {
        let name = format!("{prefix}faults_total");
        self.family(&name, "counter", "Tries that brought no answer which could be passed on, by reason.");
        for (labels, tally) in tallies {
            for (fault, count) in Fault::ALL.into_iter().zip(tally.faults) {
                self.sample(&name, &format!("{labels},reason=\"{fault}\""), count);
            }
        }
    }

    fn times(&mut self, prefix: &str, tallies: &[(String, &Tally)]) {
        let name = format!("{prefix}request_duration_seconds");
        self.family(&name, "histogram", "Time from a request's head to the first byte of its answer.");
        for (labels, tally) in tallies {
            let mut sum = 0;
            for (i, count) in tally.times.iter().enumerate() {
                sum += count;
                let bound = BOUNDS_US.get(i).map_or_else(|| "+Inf".to_owned(), |us| seconds(*us));
                self.sample(&format!("{name}_bucket"), &format!("{labels},le=\"{bound}\""), sum);
            }
            let _ = writeln!(self.0, "{name}_sum{{{labels}}} {}", seconds(tally.times_us));
            self.sample(&format!("{name}_count"), labels, sum);
        }
    }
}

/// `0.0025`, without rounding.
fn seconds(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_gets_families_with_cumulative_buckets() {
        let mut tally =
            Tally { answers: [0, 3, 0, 1, 0], times_us: 2_500_000, bytes_out: 7, faults: [0, 0, 0, 5, 0, 0, 0, 0], ..Tally::default() };
        tally.times[1] = 3;
        tally.times[14] = 1;
        let metrics = Metrics {
            routes: vec![RouteTally { app: "shop".into(), route: "/a\"b".into(), tally: tally.clone() }],
            endpoints: [("shop/web-1-1".to_owned(), tally)].into(),
            certificates: [("shop.example".to_owned(), 1_800_000_000)].into(),
            handshakes_resumed: 2,
            refused: [("malformed".to_owned(), 3)].into(),
            names_refused: [("stranger".to_owned(), 4)].into(),
            ..Metrics::default()
        };
        let text = metrics.to_prometheus();
        for line in [
            "landfall_requests_total{app=\"shop\",route=\"/a\\\"b\",class=\"2xx\"} 3",
            "landfall_request_duration_seconds_bucket{app=\"shop\",route=\"/a\\\"b\",le=\"0.0005\"} 0",
            "landfall_request_duration_seconds_bucket{app=\"shop\",route=\"/a\\\"b\",le=\"0.001\"} 3",
            "landfall_request_duration_seconds_bucket{app=\"shop\",route=\"/a\\\"b\",le=\"60\"} 3",
            "landfall_request_duration_seconds_bucket{app=\"shop\",route=\"/a\\\"b\",le=\"+Inf\"} 4",
            "landfall_request_duration_seconds_sum{app=\"shop\",route=\"/a\\\"b\"} 2.5",
            "landfall_request_duration_seconds_count{app=\"shop\",route=\"/a\\\"b\"} 4",
            "landfall_endpoint_requests_total{endpoint=\"shop/web-1-1\",class=\"4xx\"} 1",
            "landfall_faults_total{app=\"shop\",route=\"/a\\\"b\",reason=\"malformed\"} 5",
            "landfall_endpoint_faults_total{endpoint=\"shop/web-1-1\",reason=\"closed\"} 0",
            "landfall_refused_total{reason=\"malformed\"} 3",
            "landfall_names_refused_total{reason=\"stranger\"} 4",
            "landfall_tls_handshakes_total{kind=\"resumed\"} 2",
            "landfall_certificate_expiry_timestamp_seconds{name=\"shop.example\"} 1800000000",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(BOUNDS_US.is_sorted());
    }
}
