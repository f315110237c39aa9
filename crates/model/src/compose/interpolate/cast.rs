//! Which keys become a number or a switch once their variables are in, and what Compose takes for one.
//!
//! Compose turns every string at these paths into the type of the key, quoted or not, with variables or without. At all other paths a string
//! stays one.

use crate::compose::node::Kind;
use crate::compose::typed::number::go_float;

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cast {
    Switch,
    Integer,
    Number,
    /// Kept in 32 bits.
    ShortNumber,
}

/// The type of the key at a path; elements of lists are `[]`.
pub(super) fn of(path: &[&str]) -> Option<Cast> {
    use Cast::{Integer, Number, ShortNumber, Switch};
    Some(match path {
        ["networks", _, "external" | "internal" | "attachable" | "enable_ipv4" | "enable_ipv6"]
        | ["volumes" | "secrets" | "configs", _, "external"] => Switch,
        ["services", _, rest @ ..] => match rest {
            ["init" | "oom_kill_disable" | "privileged" | "read_only" | "stdin_open" | "tty"]
            | ["healthcheck", "disable"]
            | ["volumes", "[]", "read_only"]
            | ["volumes", "[]", "volume", "nocopy"] => Switch,
            ["cpu_count" | "cpu_period" | "cpu_quota" | "cpu_rt_period" | "cpu_rt_runtime" | "cpu_shares"]
            | ["oom_score_adj" | "pids_limit" | "scale"]
            | ["deploy", "replicas"]
            | ["deploy", "update_config" | "rollback_config", "parallelism"]
            | ["deploy", "restart_policy", "max_attempts"]
            | ["deploy", "placement", "max_replicas_per_node"]
            | ["healthcheck", "retries"]
            | ["ports", "[]", "target"]
            | ["ulimits", _]
            | ["ulimits", _, "hard" | "soft"] => Integer,
            ["cpu_percent"] | ["deploy", "update_config" | "rollback_config", "max_failure_ratio"] => Number,
            ["cpus"] => ShortNumber,
            _ => return None,
        },
        _ => return None,
    })
}

impl Cast {
    /// What the key wants, for a complaint.
    pub(super) fn wanted(self) -> &'static str {
        match self {
            Cast::Switch => "true or false",
            Cast::Integer => "a whole number",
            Cast::Number | Cast::ShortNumber => "a number",
        }
    }

    /// The value as the key's type, in plain writing; `None` when Compose takes it for none.
    pub(super) fn apply(self, text: &str) -> Option<(Kind, String)> {
        match self {
            Cast::Switch => match text.to_ascii_lowercase().as_str() {
                "true" | "y" | "yes" | "on" => Some((Kind::Bool, "true".into())),
                "false" | "n" | "no" | "off" => Some((Kind::Bool, "false".into())),
                _ => None,
            },
            Cast::Integer => text.parse::<i64>().ok().map(|n| (Kind::Int, n.to_string())),
            Cast::Number => number(text).map(|n| (Kind::Float, n.to_string())),
            Cast::ShortNumber => number(text).map(|n| n as f32).filter(|n| n.is_finite()).map(|n| (Kind::Float, n.to_string())),
        }
    }

    /// True for words that only YAML 1.1 takes for a switch.
    pub(super) fn is_old_word(self, text: &str) -> bool {
        self == Cast::Switch && !text.eq_ignore_ascii_case("true") && !text.eq_ignore_ascii_case("false")
    }
}

/// A number. Infinities and what is none cannot be printed later.
fn number(text: &str) -> Option<f64> {
    go_float(text).filter(|n| n.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_take_what_compose_takes() {
        for (path, text, want) in [
            ("services.a.tty", "Yes", Some("true")),
            ("services.a.tty", "off", Some("false")),
            ("services.a.tty", "", None),
            ("services.a.tty", "1", None),
            ("services.a.scale", "+2", Some("2")),
            ("services.a.scale", "2.0", None),
            ("services.a.scale", "0x2", None),
            ("services.a.cpus", "0x1p-2", Some("0.25")),
            ("services.a.cpus", ".1", Some("0.1")),
            ("services.a.cpus", "inf", None),
            ("services.a.cpus", "1e39", None),
            ("services.a.cpu_percent", "1e3", Some("1000")),
            ("services.a.ulimits.nofile.soft", "x", None),
        ] {
            let parts: Vec<&str> = path.split('.').collect();
            let got = of(&parts).unwrap().apply(text).map(|(_, text)| text);
            assert_eq!(got.as_deref(), want, "{path} {text}");
        }
        assert_eq!(of(&["services", "a", "image"]), None);
        assert_eq!(of(&["services", "a", "ports", "[]", "published"]), None);
    }
}
