//! The container engine's settings: logs that cannot fill the disk, and containers that live on while the engine is updated.
//!
//! What the owner has set stays. A file that is not JSON is not touched.

use serde_json::{Map, Value, json};

/// dockerd's own file.
pub(super) const SETTINGS: &str = "/etc/docker/daemon.json";

/// The text it should have; `None` when it has all of it. `Err` when it cannot be read as what it should be.
pub(super) fn settings(now: Option<&str>) -> Result<Option<String>, serde_json::Error> {
    let before: Map<String, Value> = now.map_or(Ok(Map::new()), serde_json::from_str)?;
    let mut after = before.clone();
    // Options belong to a driver: with another driver ours would keep the engine from starting.
    if !after.contains_key("log-driver") && !after.contains_key("log-opts") {
        after.insert("log-driver".to_owned(), json!("json-file"));
        after.insert("log-opts".to_owned(), json!({ "max-size": "10m", "max-file": "3" }));
    }
    after.entry("live-restore").or_insert(json!(true));
    if after == before {
        return Ok(None);
    }
    serde_json::to_string_pretty(&after).map(|text| Some(text + "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_owner_has_set_stays() {
        let fresh = settings(None).unwrap().unwrap();
        assert!(fresh.contains("\"max-size\": \"10m\"") && fresh.contains("\"live-restore\": true"), "{fresh}");
        assert_eq!(settings(Some(&fresh)).unwrap(), None, "a second time there is nothing to do");
        let own = settings(Some(r#"{"log-driver": "journald", "data-root": "/srv/docker"}"#)).unwrap().unwrap();
        assert!(!own.contains("max-size") && own.contains("/srv/docker") && own.contains("live-restore"), "{own}");
        assert!(settings(Some("log-driver: journald")).is_err());
        assert!(settings(Some("[]")).is_err());
    }
}
