//! `landfall ci`: what it writes for the five plans is golden, is what the systems' own schemas ask for, gives no right and no secret away, and every
//! command in it passes shellcheck. `BLESS=1 cargo test -p landfall --test ci` writes the golden files in `cases/ci` anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

#[path = "ci/place.rs"]
mod place;
#[path = "ci/workflow.rs"]
mod workflow;

use place::{PLANS, Place, golden};

#[test]
fn pipelines_of_the_five_plans_are_golden() {
    for plan in PLANS {
        let place = Place::of(plan);
        for (system, path, name) in place::FILES {
            place.good(&["ci", system, "--force"]);
            golden(plan, name, &place.read(path));
            assert!(place.run(&["ci", system, "--check"]).status.success(), "{plan}: {system} is not what was just written");
        }
    }
}

#[test]
fn what_somebody_wrote_stays_unless_it_is_forced() {
    let place = Place::of("tutor");
    place.good(&["ci", "github"]);
    let written = place.read(".github/workflows/landfall.yml");
    place.write(".github/workflows/landfall.yml", &format!("{written}# mine\n"));
    let refused = place.run(&["ci", "github"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(place::text(&refused).contains("[ci-exists]") && place::text(&refused).contains("--force"), "{}", place::text(&refused));
    let differs = place.run(&["ci", "github", "--check"]);
    assert_eq!(differs.status.code(), Some(4));
    assert!(place::text(&differs).contains("-# mine"), "{}", place::text(&differs));
    assert!(place.read(".github/workflows/landfall.yml").ends_with("# mine\n"));
    place.good(&["ci", "github", "--force"]);
    assert_eq!(place.read(".github/workflows/landfall.yml"), written);
}

#[test]
fn names_mean_nothing_but_themselves() {
    let place = Place::of("portfolio");
    for branch in ["", "-x", "a b", "a'b", "$(id)", "a\nb", "main}}", "${{ secrets.X }}", "a;b", "`id`", "../x"] {
        for option in ["--production", "--staging"] {
            let refused = place.run(&["ci", "github", "--print", &format!("{option}={branch}")]);
            assert_eq!(refused.status.code(), Some(2), "{branch:?} was taken: {}", place::text(&refused));
        }
    }
    let file = place.read("compose.yaml");
    let hostile = [
        "$(touch /tmp/landfall-ci)",
        "`id`",
        "; id",
        "' ; id ; '",
        "\\\" ; id",
        "--output=/etc/passwd",
        "\u{202e}x",
        "a # b",
        "a: b",
        "*x",
        "&x",
        "!!x",
    ];
    let args: Vec<String> =
        hostile.iter().enumerate().map(|(index, text)| format!("ARG_{index}: {}", serde_json::Value::from(*text))).collect();
    place.write("compose.yaml", &file.replace("SENTRY_RELEASE:", &args.join(", ")));
    for system in ["github", "gitlab"] {
        for (_, pipeline) in place.printed(system) {
            let parsed = workflow::Parsed::new(&pipeline);
            for text in hostile {
                assert!(parsed.scripts(system).iter().all(|script| !script.contains(text)), "{text:?} got into a script of {system}");
            }
        }
    }
    for text in ["${{ secrets.X }}", "a\nb"] {
        place.write(
            "compose.yaml",
            &file.replace("https://api.glassbox.example.com, SENTRY", &format!("{}, SENTRY", serde_json::Value::from(text))),
        );
        // What this machine would build, a pipeline cannot.
        let refused = place.run(&["ci", "github", "--print", "--allow-outside"]);
        assert_eq!(refused.status.code(), Some(2), "{text:?} was taken: {}", place::text(&refused));
    }
}

/// Each step is run as the runner runs it, with programs in place of docker and landfall that write down what they are given.
#[test]
fn values_reach_the_programs_as_they_are() {
    let place = Place::of("portfolio");
    let (_, workflow) = place.printed("github").remove(0);
    let parsed = workflow::Parsed::new(&workflow);
    for hostile in [
        "$(touch pwned)",
        "`touch pwned`",
        "; touch pwned ;",
        "a b",
        "*",
        "-x",
        "'; touch pwned; '",
        "\" && touch pwned",
        "${HOME}",
        "\u{202e}x",
    ] {
        let build = [
            ("IMAGE", hostile),
            ("TAG", hostile),
            ("BRANCH", "main"),
            ("CONTEXT", hostile),
            ("DOCKERFILE", hostile),
            ("TARGET", hostile),
            ("BUILD_ARGS", &format!("A={hostile}\nB={hostile}")),
        ];
        let given = place.step(&parsed.script("Build and push"), &build);
        assert!(
            given.contains(&hostile.to_owned()) && given.contains(&format!("A={hostile}")) && given.contains(&format!("B={hostile}")),
            "{given:?}"
        );
        assert!(given.contains(&format!("{hostile}:{hostile}")), "{given:?}");
        let login = [("REGISTRY", hostile), ("REGISTRY_USER", hostile), ("REGISTRY_TOKEN", hostile)];
        assert_eq!(
            place.step(&parsed.script("Log in to the registry"), &login),
            ["login", "--username", hostile, "--password-stdin", hostile]
        );
        let scan = [("IMAGE", "a/b"), ("TAG", hostile), ("TRIVY", "t"), ("TRIVY_USERNAME", hostile), ("TRIVY_PASSWORD", hostile)];
        assert_eq!(place.step(&parsed.script("Look for known holes"), &scan).last(), Some(&format!("a/b:{hostile}")));
        let deploy = [("ENVIRONMENT", "production"), ("APPROVE", "yes"), ("TAG", hostile)];
        assert_eq!(place.step(&parsed.script("landfall deploy"), &deploy), ["deploy", "production", "--approve", "--tag", hostile]);
        assert_eq!(place.step(&parsed.script("landfall verify"), &[("ENVIRONMENT", hostile)]), ["verify", hostile]);
    }
}

#[test]
fn what_cannot_be_deployed_by_a_pipeline_is_said_with_its_remedy() {
    let place = Place::of("analytics");
    let file = place.read("compose.yaml");
    for (args, wanted) in [(["-e", "staging"], "for all environments"), (["-f", "nowhere.yaml"], "nowhere.yaml")] {
        let refused = place.run(&[&["ci", "gitlab", "--print"], &args[..]].concat());
        assert!(refused.status.code() == Some(2) && place::text(&refused).contains(wanted), "{}", place::text(&refused));
    }
    for (old, new, wanted) in [
        (":${TAG:-main}", ":main", "does not have its tag from `${TAG}`"),
        ("    image: ghcr.io/acme/analytics-api:${TAG:-main}\n", "", "`image: "),
        ("build: .", "build: ../..", "is not in the repository"),
        ("build: .", "build: { context: ., args: { KEY: \"${PATH}\" } }", "`KEY` of `api` has a value from this machine's variables"),
        ("    production: {", "    live: {", "no environment `production`, only live, staging"),
    ] {
        assert!(file.contains(old), "{old}");
        place.write("compose.yaml", &file.replace(old, new));
        // What this machine would build, a pipeline cannot.
        let refused = place.run(&["ci", "github", "--print", "--allow-outside"]);
        assert_eq!(refused.status.code(), Some(2), "{}", place::text(&refused));
        assert!(place::text(&refused).contains(wanted), "{wanted}: {}", place::text(&refused));
    }
}
