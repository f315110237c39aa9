//! Rules about memory, processors and logs: one service must not take the server from all the others.

use super::super::report::Place;
use super::super::size;
use super::engine::Id;
use super::view::{Service, View, bytes, text};
use super::{Check, Findings, Rule, error, warning};

/// What the engine refuses to run in.
const LEAST: u64 = 6 << 20;

pub(super) const RULES: &[Rule] = &[
    warning(
        "no-memory-limit",
        [
            "A service has no memory limit",
            "When it leaks, the kernel kills whatever is largest, which is usually the database.",
            "Add `deploy: { resources: { limits: { memory: 512m } } }`; `landfall status` shows what it uses.",
            "services:\n  api:\n    image: acme/api:1.4\n",
            "services:\n  api:\n    image: acme/api:1.4\n    deploy: { resources: { limits: { memory: 512m } } }\n",
        ],
        Check::Container(no_limit),
    ),
    error(
        "memory-limit-too-small",
        [
            "A memory limit is below what a container needs",
            "A number without a unit is bytes; the engine refuses to start anything below 6 MiB.",
            "Write the unit: `512m`.",
            "services:\n  api:\n    image: acme/api:1.4\n    mem_limit: 512\n",
            "services:\n  api:\n    image: acme/api:1.4\n    mem_limit: 512m\n",
        ],
        Check::Container(too_small),
    ),
    error(
        "reservation-above-limit",
        [
            "More memory is reserved than allowed",
            "The engine refuses to create the container.",
            "Reserve less than the limit.",
            "services:\n  api:\n    image: acme/api:1.4\n    mem_limit: 256m\n    mem_reservation: 512m\n",
            "services:\n  api:\n    image: acme/api:1.4\n    mem_limit: 512m\n    mem_reservation: 256m\n",
        ],
        Check::Container(reservation),
    ),
    error(
        "beyond-the-server",
        [
            "A limit or reservation is more than the server has",
            "A limit above the server's memory limits nothing, and reservations above it cannot all be kept.",
            "Lower it, or take a larger server.",
            "services:\n  api:\n    image: acme/api:1.4\n    mem_limit: 8g\n---- server\nmemory: 2g\n",
            "services:\n  api:\n    image: acme/api:1.4\n    mem_limit: 1g\n---- server\nmemory: 2g\n",
        ],
        Check::App(beyond),
    ),
    warning(
        "heap-above-limit",
        [
            "A program may take more memory than its container has",
            "It grows towards the size it was told, and the kernel kills it on the way, without a line in its log.",
            "Set the heap to about three quarters of the limit.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment: { NODE_OPTIONS: --max-old-space-size=2048 }\n    mem_limit: 1g\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment: { NODE_OPTIONS: --max-old-space-size=768 }\n    mem_limit: 1g\n",
        ],
        Check::Container(heap),
    ),
    warning(
        "unbounded-logs",
        [
            "A service's log grows without bound",
            "One chatty error fills the disk, and then the database stops.",
            "Add `options: { max-size: 10m, max-file: \"3\" }`, or leave `logging` out: Landfall's default is bounded.",
            "services:\n  api:\n    image: acme/api:1.4\n    logging: { driver: json-file }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    logging: { driver: json-file, options: { max-size: 10m, max-file: '3' } }\n",
        ],
        Check::Container(logs),
    ),
    warning(
        "logs-discarded",
        [
            "A service's log is thrown away",
            "When it fails, nobody can see why.",
            "Remove `driver: none`.",
            "services:\n  api:\n    image: acme/api:1.4\n    logging: { driver: none }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    logging: { driver: local }\n",
        ],
        Check::Container(discarded),
    ),
    warning(
        "blocking-logs",
        [
            "A service stops when its log server does",
            "The engine waits for the log server: it does not start the container without it, and a slow one stops the program in the middle of a line.",
            "Add `options: { mode: non-blocking, max-buffer-size: 4m }`.",
            "services:\n  api:\n    image: acme/api:1.4\n    logging: { driver: fluentd, options: { fluentd-address: 'logs.acme.com:24224' } }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    logging: { driver: fluentd, options: { fluentd-address: 'logs.acme.com:24224', mode: non-blocking } }\n",
        ],
        Check::Container(blocking),
    ),
];

fn no_limit(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    if service.memory().is_none() && !service.job && !service.is_files_only() {
        out.at(service.place, format!("`{}` has no memory limit", service.name));
    }
}

fn too_small(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some((limit, place)) = service.memory().filter(|(l, _)| (1..LEAST).contains(l)) else { return };
    out.at(place, format!("`{}` may use {limit} bytes of memory", service.name));
}

fn reserved(service: &Service<'_>) -> Option<(u64, Place)> {
    service.at(&["deploy", "resources", "reservations", "memory"]).or(service.node.get("mem_reservation")).and_then(bytes)
}

fn reservation(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    if let (Some((limit, _)), Some((reserved, place))) = (service.memory(), reserved(service))
        && limit > 0
        && reserved > limit
    {
        out.at(place, format!("`{}` reserves more memory than its limit allows", service.name));
    }
}

fn beyond(view: &View<'_>, out: &mut Findings) {
    let shown = |bytes: u64| format!("{} MiB", bytes >> 20);
    if let Some(memory) = view.facts.memory {
        let mut sum = 0u64;
        for service in &view.services {
            if let Some((limit, place)) = service.memory().filter(|(l, _)| *l > memory) {
                out.at(place, format!("`{}` may use {} of memory, and the server has {}", service.name, shown(limit), shown(memory)));
            }
            let replicas = service.at(&["deploy", "replicas"]).and_then(|n| n.scalar()?.text.parse::<u64>().ok()).unwrap_or(1);
            if let Some((reserved, place)) = reserved(service) {
                let before = sum;
                sum = sum.saturating_add(reserved.saturating_mul(replicas));
                if before <= memory && sum > memory {
                    out.at(
                        place,
                        format!("with `{}`, {} of memory are reserved, and the server has {}", service.name, shown(sum), shown(memory)),
                    );
                }
            }
        }
    }
    if let Some(cores) = view.facts.cpu_millis {
        for service in &view.services {
            let node = service.at(&["deploy", "resources", "limits", "cpus"]).or(service.node.get("cpus"));
            let Some((node, wanted)) = node.and_then(|n| Some((n, size::cpu_millis(&n.scalar()?.text)?))) else { continue };
            if wanted > cores {
                let thousandths = |n: u64| n as f64 / 1000.0;
                out.at(
                    node.place,
                    format!(
                        "`{}` may use {} processor cores, and the server has {}",
                        service.name,
                        thousandths(wanted),
                        thousandths(cores)
                    ),
                );
            }
        }
    }
}

/// A size a program reads itself: `512m`, `2G`, `768` with the unit given.
fn heap_size(text: &str, unit: u64) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let word = &text[..end];
    if word.bytes().all(|b| b.is_ascii_digit()) { word.parse::<u64>().ok()?.checked_mul(unit) } else { size::parse(word) }
}

fn heap(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some((limit, _)) = service.memory().filter(|(l, _)| *l >= LEAST) else { return };
    for var in &service.vars {
        let after = |option: &str| var.text.rfind(option).map(|at| &var.text[at + option.len()..]);
        let asked = match var.name {
            "NODE_OPTIONS" => after("--max-old-space-size=").and_then(|t| heap_size(t, 1 << 20)),
            "JAVA_OPTS"
            | "JAVA_TOOL_OPTIONS"
            | "_JAVA_OPTIONS"
            | "ES_JAVA_OPTS"
            | "OPENSEARCH_JAVA_OPTS"
            | "CATALINA_OPTS"
            | "JDK_JAVA_OPTIONS"
            | "KAFKA_HEAP_OPTS" => after("-Xmx").and_then(|t| heap_size(t, 1)),
            _ => None,
        };
        if asked.is_some_and(|a| a >= limit) {
            out.var(var, format!("`{}` lets `{}` take more memory than its limit", var.name, service.name));
        }
    }
    for word in &service.command {
        let asked = word.text.strip_prefix("-Xmx").and_then(|t| heap_size(t, 1));
        let asked = asked.or_else(|| word.text.strip_prefix("--max-old-space-size=").and_then(|t| heap_size(t, 1 << 20)));
        if asked.is_some_and(|a| a >= limit) {
            out.at(word.place, format!("`{}` may take more memory than its limit", service.name));
        }
    }
    // Neo4j has two: the heap and the cache of pages.
    let part = |end: &str| {
        service.vars.iter().filter(|v| service.is(Id::Neo4j) && v.name.ends_with(end)).find_map(|v| Some((*v, heap_size(v.text, 1)?)))
    };
    if let (Some((var, heap)), Some((_, pages))) = (part("heap_max__size"), part("pagecache_size"))
        && heap.saturating_add(pages) >= limit
    {
        out.var(&var, format!("heap and page cache of Neo4j in `{}` together take more memory than its limit", service.name));
    }
}

fn logs(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some(entry) = service.entry(&["logging"]) else { return };
    let driver = text(&entry.value, "driver");
    let size = entry.value.get("options").map_or("", |o| text(o, "max-size"));
    // `local` rotates by itself.
    if matches!(driver, "" | "json-file") && (size.is_empty() || size == "-1") {
        out.at(entry.key_place, format!("the log of `{}` grows without bound", service.name));
    }
}

fn discarded(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    if let Some(driver) = service.at(&["logging", "driver"]).filter(|n| n.scalar().is_some_and(|s| s.text == "none")) {
        out.at(driver.place, format!("the log of `{}` is thrown away", service.name));
    }
}

fn blocking(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some(logging) = service.node.get("logging") else { return };
    let options = logging.get("options");
    let option = |key: &str| options.map_or("", |o| text(o, key));
    let remote = match text(logging, "driver") {
        "fluentd" => option("fluentd-async") != "true",
        "syslog" => option("syslog-address").starts_with("tcp"),
        "gelf" => option("gelf-address").starts_with("tcp"),
        "awslogs" | "gcplogs" | "splunk" | "loki" => true,
        _ => false,
    };
    if let Some(driver) = logging.get("driver").filter(|_| remote && option("mode") != "non-blocking") {
        out.at(driver.place, format!("`{}` stops when its log server does", service.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heaps_are_read_in_their_own_units() {
        assert_eq!(heap_size("2048 --x", 1 << 20), Some(2 << 30));
        assert_eq!(heap_size("2g -Xms1g", 1), Some(2 << 30));
        assert_eq!(heap_size("", 1), None);
    }
}
