//! Contradictions, each with its place and remedy.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::super::{canonical, normalize};
use super::*;

fn complaints(text: &str) -> Vec<String> {
    let mut report = Report::default();
    let file = report.add_file("f", text.to_owned(), true);
    let mut root = super::super::yaml::parse(text, file, &mut report).unwrap().remove(0).root;
    canonical::transform(&mut root, &mut report);
    normalize::normalize(&mut root, "app", &BTreeMap::new(), &mut report);
    check(&mut root, &[], &mut report);
    report.finish().0.into_iter().map(|d| d.message).collect()
}

#[test]
fn each_contradiction_is_named() {
    for (service, want) in [
        ("{ image: x }", ""),
        ("{}", "`a` has no `image`"),
        (
            "{ image: x, network_mode: host, networks: [default] }",
            "`a` has both `network_mode` and `networks`;`a` joins the network `default`, which is not declared",
        ),
        ("{ image: x, networks: [nope] }", "`a` joins the network `nope`, which is not declared"),
        ("{ image: x, depends_on: [b] }", "`a` depends on `b`, and there is no such service"),
        ("{ image: x, depends_on: [a] }", "services depend on each other in a circle: a → a"),
        ("{ image: x, volumes: ['v1:/x'] }", "`a` mounts the volume `v1`, which is not declared"),
        ("{ image: x, secrets: [s] }", "`a` uses the secret `s`, which is not declared"),
        ("{ image: x, configs: [c] }", "`a` uses the config `c`, which is not declared"),
        ("{ build: { secrets: [s] } }", "`a` uses the secret `s`, which is not declared"),
        ("{ image: x, scale: 2, deploy: { replicas: 3 } }", "`services.a.scale` and `services.a.deploy.replicas` differ"),
        (
            "{ image: x, mem_limit: 1g, deploy: { resources: { limits: { cpus: 1 } } } }",
            "`services.a.mem_limit` and `services.a.deploy.resources.limits.memory` differ",
        ),
        ("{ image: x, mem_limit: 1g, deploy: { resources: { limits: { memory: 1024m } } } }", ""),
        ("{ image: x, cpus: 0.5, deploy: { resources: { limits: { cpus: '0.50' } } } }", ""),
        ("{ image: x, scale: 2, container_name: y }", "`a` has a `container_name` and 2 replicas, and no two containers can have one name"),
        (
            "{ image: x, healthcheck: { test: [curl] } }",
            "`services.a.healthcheck.test` wants a string, or a list that begins with `CMD`, `CMD-SHELL` or `NONE`",
        ),
        ("{ build: { dockerfile: x, dockerfile_inline: y } }", "`services.a.build` has both `dockerfile` and `dockerfile_inline`"),
        ("{ build: { platforms: [x] }, platform: y }", "`services.a.build.platforms` lacks this `platform`"),
        ("{ build: { additional_contexts: { q: 'service:z' } } }", "`a` takes a build context from the service `z`, and there is none"),
        ("{ image: x, develop: { watch: [{ path: ., action: sync }] } }", "`services.a.develop.watch[0]` needs `target`"),
    ] {
        assert_eq!(complaints(&format!("services: {{ a: {service} }}")).join(";"), want, "{service}");
    }
    assert_eq!(complaints("{ x-landfall: { runtime: process }, services: { a: {} } }"), Vec::<String>::new());
}
