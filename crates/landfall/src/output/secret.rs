//! What `landfall secret list` shows: names, never values.

use super::style::{FAINT, STRONG, WARNING};
use super::table::{Align, Cell, render as table};
use super::time::date_clock;
use landfall_model::secret::{Origin, SecretStatus};

/// A table with one line per secret.
pub fn render(secrets: &[SecretStatus]) -> String {
    let row = |secret: &SecretStatus| {
        let services: Vec<&str> = secret.used_by.iter().map(|s| s.as_str()).collect();
        let used = match (services.as_slice(), secret.in_use) {
            ([], _) => Cell::styled(FAINT, "nothing yet"),
            (services, Some(version)) if version != secret.version => {
                Cell::styled(WARNING, format!("{} (still version {version})", services.join(", ")))
            }
            (services, _) => services.join(", ").into(),
        };
        let from = match secret.origin {
            Origin::Set => "set on the server",
            Origin::Deploy => "from the project",
        };
        vec![
            Cell::styled(STRONG, &secret.name),
            secret.version.into(),
            date_clock(secret.at_ms).into(),
            secret.who.as_str().into(),
            from.into(),
            used,
        ]
    };
    let columns = [
        ("SECRET", Align::Left),
        ("VERSION", Align::Right),
        ("WHEN", Align::Left),
        ("WHO", Align::Left),
        ("FROM", Align::Left),
        ("USED BY", Align::Left),
    ];
    table(&columns, &secrets.iter().map(row).collect::<Vec<_>>())
}
