//! What `landfall status` shows: one block per app, one line per replica.

use super::style::{ERROR, FAINT, GOOD, STRONG, WARNING, harmless, paint};
use super::table::{Align, Cell, render as table};
use super::time::{date_clock, span};
use anstyle::Style;
use landfall_model::api::{AppStatus, ReplicaStatus, RolloutState, RolloutStatus, ServiceStatus};
use landfall_model::name::ReleaseNumber;
use landfall_model::observed::ReplicaState;

const COLUMNS: [(&str, Align); 9] = [
    ("SERVICE", Align::Left),
    ("READY", Align::Left),
    ("REPLICA", Align::Left),
    ("STATE", Align::Left),
    ("RELEASE", Align::Right),
    ("ADDRESS", Align::Left),
    ("RESTARTS", Align::Right),
    ("UP", Align::Left),
    ("IN FLIGHT", Align::Right),
];

/// All apps; `now_ms` in milliseconds since 1970 UTC, for how long things have been up.
pub fn render(apps: &[AppStatus], now_ms: u64) -> String {
    if apps.is_empty() {
        return "no app runs here yet; `landfall up` or `landfall deploy` makes one\n".to_owned();
    }
    let blocks: Vec<String> = apps.iter().map(|app| block(app, now_ms)).collect();
    blocks.join("\n")
}

fn block(app: &AppStatus, now_ms: u64) -> String {
    let release = match (app.release, &app.last_rollout) {
        (Some(release), _) => format!("release {release}"),
        (None, Some(last)) if last.purpose == "down" && last.state == RolloutState::Succeeded => "down".to_owned(),
        (None, _) => "no release yet".to_owned(),
    };
    let mut text = format!("{}  {release}  {}\n", paint(STRONG, &app.app), paint(FAINT, format!("{} runtime", app.runtime)));
    for url in &app.urls {
        text.push_str(&format!("  {}\n", harmless(url)));
    }
    if let Some(rollout) = &app.rollout {
        text.push_str(&under_way(rollout, now_ms));
    } else if let Some(rollout) = &app.last_rollout {
        text.push_str(&ended(rollout));
    }
    let rows: Vec<Vec<Cell>> = app.services.iter().flat_map(|service| service_rows(service, app.release, now_ms)).collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(&COLUMNS, &rows));
    }
    for cut in &app.cut_off {
        text.push_str(&format!("  {cut}\n  {}\n", cut.remedy()));
    }
    for replica in app.services.iter().flat_map(|service| &service.replicas) {
        if let Some(fault) = &replica.fault {
            let ago = span(fault.ago_s.saturating_mul(1000));
            text.push_str(&format!("  {} gave no answer {ago} ago: {}\n", replica.id, harmless(&fault.words)));
        }
    }
    text
}

fn under_way(rollout: &RolloutStatus, now_ms: u64) -> String {
    let word = if rollout.state == RolloutState::Undoing { paint(WARNING, "undoing") } else { paint(STRONG, "under way") };
    let step = rollout.step.as_deref().map(|step| format!(" · {}", harmless(step))).unwrap_or_default();
    let since = span(now_ms.saturating_sub(rollout.started_ms));
    format!("  {word}: {} to release {} by {}{step} · {since}\n", harmless(&rollout.purpose), rollout.release, harmless(&rollout.who))
}

/// Only what did not end well is worth a line: the release number tells the rest.
fn ended(rollout: &RolloutStatus) -> String {
    let word = match rollout.state {
        RolloutState::RolledBack => "rolled back",
        RolloutState::Failed => "failed",
        _ => return String::new(),
    };
    let why = rollout.failure.as_ref().map(|failure| format!(": {}", harmless(&failure.message))).unwrap_or_default();
    format!(
        "  {} {} to release {}, {}{why}\n",
        paint(ERROR, word),
        harmless(&rollout.purpose),
        rollout.release,
        date_clock(rollout.started_ms)
    )
}

fn service_rows(service: &ServiceStatus, current: Option<ReleaseNumber>, now_ms: u64) -> Vec<Vec<Cell>> {
    let ready = service.replicas.iter().filter(|r| r.serving && r.state.is_running()).count();
    let (count, style) = if service.job {
        ("job".to_owned(), FAINT)
    } else if service.wanted == 0 && ready == 0 {
        ("0/0".to_owned(), FAINT)
    } else if ready >= service.wanted as usize {
        (format!("{ready}/{}", service.wanted), GOOD)
    } else {
        (format!("{ready}/{}", service.wanted), ERROR)
    };
    let name = Cell::from(&service.service);
    if service.replicas.is_empty() {
        let state = match (service.job, service.wanted) {
            (true, _) => Cell::styled(FAINT, "not run"),
            (false, 0) => Cell::styled(FAINT, "off"),
            (false, _) => Cell::styled(ERROR, "missing"),
        };
        return vec![vec![name, Cell::styled(style, count), "".into(), state]];
    }
    service
        .replicas
        .iter()
        .enumerate()
        .map(|(index, replica)| {
            let (name, count) = if index == 0 { (name.clone(), Cell::styled(style, &count)) } else { Default::default() };
            let mut row = vec![name, count];
            row.extend(replica_cells(replica, service.job, current, now_ms));
            row
        })
        .collect()
}

fn replica_cells(replica: &ReplicaStatus, job: bool, current: Option<ReleaseNumber>, now_ms: u64) -> Vec<Cell> {
    let (word, style) = state(replica, job, current);
    let restarts = if replica.restarts > 0 { Cell::styled(WARNING, replica.restarts) } else { Cell::styled(FAINT, 0) };
    let up =
        if replica.state.is_running() && replica.started_ms > 0 { span(now_ms.saturating_sub(replica.started_ms)) } else { String::new() };
    let active = if replica.active > 0 { Cell::from(replica.active) } else { Cell::styled(FAINT, 0) };
    vec![
        Cell::from(&replica.id),
        Cell::styled(style, word),
        replica.release.into(),
        replica.address.as_deref().unwrap_or("").into(),
        restarts,
        up.into(),
        active,
    ]
}

/// What a replica does, in one word and the detail that matters.
fn state(replica: &ReplicaStatus, job: bool, current: Option<ReleaseNumber>) -> (String, Style) {
    match replica.state {
        ReplicaState::Created => ("created".into(), FAINT),
        ReplicaState::Running if job => ("running".into(), GOOD),
        ReplicaState::Running if replica.serving && replica.healthy == Some(false) => ("unhealthy".into(), ERROR),
        ReplicaState::Running if replica.serving => ("serving".into(), GOOD),
        ReplicaState::Running if current.is_some_and(|current| replica.release < current) => ("draining".into(), WARNING),
        ReplicaState::Running => ("starting".into(), WARNING),
        ReplicaState::Restarting { code } => (format!("restarting, ended with {code}"), ERROR),
        ReplicaState::Exited { out_of_memory: true, .. } => ("killed, out of memory".into(), ERROR),
        ReplicaState::Exited { code: 0, .. } if job => ("done".into(), GOOD),
        ReplicaState::Exited { code, .. } => (format!("ended with {code}"), if replica.serving || job { ERROR } else { FAINT }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_is_read_in_one_look() {
        let replica = |id: &str, release: u64, serving: bool, state: serde_json::Value| json!({ "id": id, "release": release, "state": state, "serving": serving, "healthy": serving, "fault": serving.then(|| json!({ "words": "malformed: it has two lengths", "ago_s": 12 })), "address": "127.0.0.1:40001", "active": 2, "restarts": 0, "started_ms": 1000 });
        let app: AppStatus = serde_json::from_value(json!({
            "app": "tutor", "runtime": "process", "release": 4, "urls": ["https://localhost:8443"], "last_rollout": null,
            "rollout": { "id": "a", "purpose": "deploy", "release": 4, "state": "running", "who": "root (uid 0)", "started_ms": 61000, "step": "drain web-3-1", "failure": null },
            "services": [
                { "service": "migrate", "job": true, "wanted": 1, "routes": [], "replicas": [replica("migrate-4-job", 4, false, json!({ "state": "exited", "code": 0, "out_of_memory": false }))] },
                { "service": "web", "job": false, "wanted": 2, "routes": ["/"], "replicas": [replica("web-4-1", 4, true, json!({ "state": "running" })), replica("web-3-1", 3, false, json!({ "state": "running" }))] },
                { "service": "worker", "job": false, "wanted": 1, "routes": [], "replicas": [] }
            ]
        }))
        .unwrap();
        let plain = anstream::adapter::strip_str(&render(&[app], 63_000)).to_string();
        let wanted = "\
tutor  release 4  process runtime
  https://localhost:8443
  under way: deploy to release 4 by root (uid 0) · drain web-3-1 · 2 s

SERVICE  READY  REPLICA        STATE     RELEASE  ADDRESS          RESTARTS  UP       IN FLIGHT
migrate  job    migrate-4-job  done            4  127.0.0.1:40001         0                   2
web      1/2    web-4-1        serving         4  127.0.0.1:40001         0  1 m 2 s          2
                web-3-1        draining        3  127.0.0.1:40001         0  1 m 2 s          2
worker   0/1                   missing
  web-4-1 gave no answer 12 s ago: malformed: it has two lengths
";
        assert_eq!(plain, wanted);
    }

    #[test]
    fn an_app_that_was_taken_down_is_down() {
        let status = |last: serde_json::Value| -> AppStatus {
            serde_json::from_value(json!({ "app": "a", "runtime": "process", "release": null, "rollout": null, "last_rollout": last, "urls": [], "services": [] })).unwrap()
        };
        let down = json!({ "id": "a", "purpose": "down", "release": 4, "state": "succeeded", "who": "root (uid 0)", "started_ms": 1, "step": null, "failure": null });
        let head = |last| anstream::adapter::strip_str(&render(&[status(last)], 2)).to_string();
        assert_eq!(head(down), "a  down  process runtime\n");
        assert_eq!(head(json!(null)), "a  no release yet  process runtime\n");
    }
}
