//! What an image says of the containers made of it: its health check, and where it wants volumes.

use bollard::models::{HealthConfig, ImageInspect};
use landfall_model::observed::ImageAbout;
use landfall_model::spec::{HealthTest, Healthcheck};

/// The engine's own defaults, milliseconds.
const INTERVAL_MS: u64 = 30_000;
const TIMEOUT_MS: u64 = 30_000;
const RETRIES: u32 = 3;

/// Reads the configuration of an image that is here.
pub(crate) fn of(image: &ImageInspect) -> ImageAbout {
    let Some(config) = &image.config else { return ImageAbout::default() };
    ImageAbout {
        health: config.healthcheck.as_ref().and_then(health),
        volumes: config.volumes.iter().flatten().map(|path| trimmed(path)).collect(),
    }
}

/// `/data/` and `/data` are one place; a mount's target has no slash at its end.
pub(crate) fn trimmed(path: &str) -> String {
    let path = path.trim_end_matches('/');
    if path.is_empty() { "/".to_owned() } else { path.to_owned() }
}

/// `HEALTHCHECK NONE` is none. Times are nanoseconds, and 0 is the default.
fn health(check: &HealthConfig) -> Option<Healthcheck> {
    let words = check.test.as_deref().unwrap_or_default();
    let test = match words.split_first() {
        Some((first, argv)) if first == "CMD" && !argv.is_empty() => HealthTest::Exec { argv: argv.to_vec() },
        Some((first, [script])) if first == "CMD-SHELL" => HealthTest::Shell { script: script.clone() },
        _ => return None,
    };
    let ms = |nanos: Option<i64>| nanos.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0).map(|n| n.div_ceil(1_000_000));
    Some(Healthcheck {
        test,
        interval_ms: ms(check.interval).unwrap_or(INTERVAL_MS),
        timeout_ms: ms(check.timeout).unwrap_or(TIMEOUT_MS),
        retries: check.retries.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(RETRIES),
        start_period_ms: ms(check.start_period).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: serde_json::Value) -> ImageAbout {
        of(&serde_json::from_value(serde_json::json!({ "Id": "sha256:x", "Config": config })).unwrap())
    }

    #[test]
    fn a_health_check_of_an_image_has_the_defaults_of_the_engine() {
        let about = read(serde_json::json!({
            "Healthcheck": { "Test": ["CMD-SHELL", "curl -f localhost || exit 1"], "Interval": 2_000_000_000, "StartPeriod": 5_000_000_000_i64 },
            "Volumes": { "/data/": {}, "/log": {} },
        }));
        let check = about.health.unwrap();
        assert_eq!(check.test, HealthTest::Shell { script: "curl -f localhost || exit 1".into() });
        assert_eq!((check.interval_ms, check.timeout_ms, check.retries, check.start_period_ms), (2000, 30_000, 3, 5000));
        assert_eq!(about.volumes.into_iter().collect::<Vec<_>>(), ["/data", "/log"]);
    }

    #[test]
    fn none_and_nothing_are_no_check() {
        for config in [
            serde_json::json!({ "Healthcheck": { "Test": ["NONE"] } }),
            serde_json::json!({ "Healthcheck": { "Test": [] } }),
            serde_json::json!({ "Healthcheck": { "Test": ["CMD"] } }),
            serde_json::json!({}),
        ] {
            assert_eq!(read(config).health, None);
        }
    }
}
