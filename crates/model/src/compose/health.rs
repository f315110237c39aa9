//! `healthcheck` of a service.

use super::node::Value;
use super::reader::{Field, Fields};
use super::report::{Place, Report};
use crate::spec::{HealthTest, Healthcheck};

/// What the file says about health.
#[derive(Debug, Clone, Default)]
pub(crate) enum HealthFile {
    /// Nothing.
    #[default]
    Absent,
    /// That there is none: `disable: true` or `test: NONE`.
    Disabled,
    /// How to ask.
    Given(Healthcheck, Place),
}

enum Test {
    None,
    Some(HealthTest),
}

/// The value of `healthcheck`. Defaults are those of the Compose Specification: 30 s, 30 s, 3.
pub(crate) fn read(field: &Field<'_>, report: &mut Report) -> HealthFile {
    let Some(mut fields) = Fields::open(field, report) else { return HealthFile::Absent };
    let disabled = fields.take("disable").and_then(|f| f.boolean(report)).is_some_and(|b| b.value);
    let test_field = fields.take("test");
    let test = test_field.as_ref().and_then(|f| test(f, report));
    let mut duration = |key: &'static str, default: u64| fields.take(key).and_then(|f| f.duration(report)).map_or(default, |d| d.value);
    let (interval_ms, timeout_ms) = (duration("interval", 30_000), duration("timeout", 30_000));
    let start_period_ms = duration("start_period", 0);
    let retries = fields.take("retries").and_then(|f| f.integer(0..=1000, report)).map_or(3, |n| n.value.max(1) as u32);
    fields.know(["start_interval"]);
    fields.finish(report);
    match test {
        _ if disabled => HealthFile::Disabled,
        Some(Test::None) => HealthFile::Disabled,
        Some(Test::Some(test)) => {
            let place = test_field.map_or(field.key_place, |f| f.place());
            HealthFile::Given(Healthcheck { test, interval_ms, timeout_ms: timeout_ms.max(1), retries, start_period_ms }, place)
        }
        None => {
            if test_field.is_none() {
                let message = format!("`{}` has no `test`: the image's own check, if it has one, keeps its own times", field.path);
                report.warning("not-honoured", field.key_place, message).hint("write `test: [CMD, program, argument]`");
            }
            HealthFile::Absent
        }
    }
}

const WANTED: &str = "a string, or a list that begins with `CMD`, `CMD-SHELL` or `NONE`";

fn test(field: &Field<'_>, report: &mut Report) -> Option<Test> {
    if let Value::Scalar(_) = &field.node.value {
        let script = field.text(report)?.value;
        if script.trim().is_empty() {
            field.wrong(report, WANTED);
            return None;
        }
        return Some(Test::Some(HealthTest::Shell { script }));
    }
    let words: Vec<String> = field.texts(report)?.into_iter().map(|t| t.value).collect();
    match words.split_first() {
        Some((first, [])) if first == "NONE" => Some(Test::None),
        Some((first, argv)) if first == "CMD" && !argv.is_empty() => Some(Test::Some(HealthTest::Exec { argv: argv.to_vec() })),
        Some((first, [script])) if first == "CMD-SHELL" && !script.trim().is_empty() => {
            Some(Test::Some(HealthTest::Shell { script: script.clone() }))
        }
        Some((first, [])) if first == "CMD" || first == "CMD-SHELL" => {
            report
                .error("wrong-type", field.place(), format!("`{}` says how to run a program and names none", field.path))
                .hint("write `[CMD, program, argument]`");
            None
        }
        Some((first, _)) if first == "CMD-SHELL" => {
            let message = format!("`{}` has several arguments after `CMD-SHELL`, which takes one", field.path);
            report.error("wrong-type", field.place(), message).hint("write the script as one string, or use `CMD`");
            None
        }
        _ => {
            let words: Vec<String> = words.iter().map(|w| super::yaml::shorten(w)).collect();
            let substituted =
                matches!(&field.node.value, Value::List(items) if items.iter().any(|i| i.scalar().is_some_and(|s| s.substituted)));
            let hint = if words.is_empty() || substituted {
                "write `[CMD, program, argument]`".into()
            } else {
                format!("write `[CMD, {}]`", words.join(", "))
            };
            report.error("wrong-type", field.place(), format!("`{}` wants {WANTED}", field.path)).hint(hint);
            None
        }
    }
}
