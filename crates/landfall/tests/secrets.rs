//! A canary: set as a secret, used, rotated, gone back to; and then looked for everywhere Landfall writes, answers and shows.
//!
//! The real binary, its supervisor, agent and proxy, and a program of the process runtime that says what it was given, in its answers and in its log.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

#[path = "secrets/server.rs"]
mod server;

use server::{Server, docker, text};
use std::os::unix::fs::PermissionsExt as _;

/// No other text of the test holds these.
const FIRST: &str = "canary-one-7f3a9b";
const SECOND: &str = "canary-two-51c0de";

const FILE: &str = r#"
name: vault
x-landfall:
  runtime: process
  tls: "off"
  env:
    JWT_SECRET: { secret: true, min_length: 12 }
  environments:
    staging: { domains: [staging.localhost], values: { COLOUR: green }, approve: true }
    production: { domains: [production.localhost] }
services:
  web:
    command: [python3, server.py]
    environment:
      JWT_SECRET: ${JWT_SECRET}
      URL: "postgres://app:${JWT_SECRET}@db/app"
      COLOUR: ${COLOUR:-blue}
    x-landfall: { routes: [/], health: { path: / } }
"#;

#[test]
fn a_canary_is_used_rotated_and_gone_back_to_and_found_nowhere() {
    let server = Server::new("vault", FILE);
    server.write(".env", &format!("JWT_SECRET={FIRST}\n"));
    server.good(&["up", "--detach"]);
    assert_eq!(server.answer("localhost"), format!("{FIRST} postgres://app:{FIRST}@db/app blue"));

    // One that the server keeps wins over what the project has.
    let rotated = server.fed(&["secret", "rotate", "JWT_SECRET"], SECOND);
    assert!(rotated.status.success() && text(&rotated).contains("starts again, one after the other: web"), "{}", text(&rotated));
    assert_eq!(server.answer("localhost"), format!("{SECOND} postgres://app:{SECOND}@db/app blue"));
    assert!(server.good(&["deploy"]).contains("othing to change"), "the project's own value is not used any more");
    assert!(server.good(&["plan"]).contains("othing to change"));
    assert!(server.good(&["plan", "--force", "web"]).contains("start web"), "{}", server.good(&["plan", "--force", "web"]));
    assert!(server.bad(&["plan", "--force", "nope"]).contains("[no-service]"));

    server.good(&["rollback"]);
    assert_eq!(server.answer("localhost"), format!("{FIRST} postgres://app:{FIRST}@db/app blue"), "a rollback has the value it had");

    let shown = [
        server.good(&["logs"]),
        server.good(&["events", "--json", "-n", "1000"]),
        server.good(&["events", "--audit"]),
        server.good(&["releases", "--json"]),
        server.good(&["config"]),
        server.good(&["plan", "--json"]),
        server.good(&["secret", "list"]),
        server.good(&["status", "--json"]),
        server.asked("/v1/apps/vault/releases/1/spec"),
        server.asked("/v1/apps/vault/secrets"),
        text(&rotated),
    ];
    assert!(shown[0].contains("was given <secret JWT_SECRET>"), "{}", shown[0]);
    assert!(shown[2].contains("rotate JWT_SECRET") && shown[2].contains("rollback"), "{}", shown[2]);
    assert!(shown[8].contains(r#""secret":"JWT_SECRET","version":1"#), "{}", shown[8]);
    for (index, shown) in shown.iter().enumerate() {
        assert!(!shown.contains(FIRST) && !shown.contains(SECOND), "answer {index} shows the canary: {shown}");
    }
    for canary in [FIRST, SECOND] {
        assert_eq!(server.files_with(canary), Vec::<String>::new(), "a file of the home holds it in clear");
        assert_eq!(server.processes_with(canary), Vec::<String>::new(), "a process of Landfall shows it");
    }
}

/// On Docker the value is a variable of one container and a file of both; both say what they were given.
const CONTAINERS: &str = r#"
name: lf-vault
x-landfall:
  tls: "off"
  env:
    JWT_SECRET: { secret: true, min_length: 12 }
services:
  web:
    image: landfall-debian:bookworm
    command: [bash, -c, 'echo "was given $$JWT_SECRET and $$(cat /run/secrets/key)"; stat -c "%U %a" /run/secrets/key; exec sleep infinity']
    user: www-data
    labels: { kept.by: vault }
    environment: { JWT_SECRET: "${JWT_SECRET}" }
    secrets: [key]
    stop_grace_period: 0s
secrets:
  key: { environment: JWT_SECRET }
"#;

#[test]
fn a_canary_in_containers_is_in_no_label_argument_log_or_file_of_the_server() {
    let server = Server::new("lf-vault", CONTAINERS);
    server.write(".env", &format!("JWT_SECRET={FIRST}\n"));
    server.good(&["up", "--detach"]);
    let rotated = server.fed(&["secret", "rotate", "JWT_SECRET"], SECOND);
    assert!(rotated.status.success(), "{}", text(&rotated));
    let container = docker(&["ps", "-q", "--filter", "label=landfall.app=lf-vault"]);
    let given = docker(&["logs", &container]);
    assert!(given.contains(&format!("was given {SECOND} and {SECOND}")) && given.contains("www-data 600"), "{given}");

    // Docker shows variables to whoever may use the engine; nothing else of the container says them.
    let inspected = docker(&["inspect", &container]);
    assert_eq!(inspected.matches(SECOND).count(), 1, "{inspected}");
    assert!(docker(&["inspect", "-f", "{{.Config.Env}}", &container]).contains(SECOND));
    let shown = [
        server.good(&["logs"]),
        server.good(&["events", "--json", "-n", "1000"]),
        server.good(&["releases", "--json"]),
        server.good(&["config"]),
        server.good(&["plan", "--json"]),
        server.good(&["status", "--json"]),
        server.asked("/v1/apps/lf-vault/releases/1/spec"),
        docker(&["inspect", "-f", "{{.Config.Labels}} {{.Config.Cmd}} {{.Args}} {{.Name}} {{.Mounts}}", &container]),
        docker(&["top", &container, "-o", "pid,args"]),
        docker(&["events", "--since", "10m", "--until", "0s", "--filter", "label=landfall.app=lf-vault"]),
    ];
    assert!(shown[0].contains("was given <secret JWT_SECRET> and <secret "), "{}", shown[0]);
    assert!(shown[9].contains("kept.by"), "{}", shown[9]);
    for canary in [FIRST, SECOND] {
        for (index, shown) in shown.iter().enumerate() {
            assert!(!shown.contains(canary), "answer {index} shows the canary: {shown}");
        }
        assert_eq!(server.files_with(canary), Vec::<String>::new(), "a file of the home holds it in clear");
        assert_eq!(server.processes_with(canary), Vec::<String>::new(), "a process of Landfall shows it");
    }
}

/// Keys that sign the tokens of two routes: one is declared and belongs to the server, the other stands in the project.
const TOKENS: &str = r#"
name: tokens
x-landfall:
  runtime: process
  tls: "off"
  env:
    SIGNING_KEY: { secret: true, min_length: 12 }
services:
  web:
    command: [python3, server.py]
    x-landfall:
      health: { path: / }
      routes:
        - /
        - { path: /kept, jwt: { secret: "${SIGNING_KEY}" } }
        - { path: /own, jwt: { secret: "${OWN_KEY}" } }
"#;

fn token(key: &str) -> String {
    let program = "import sys, time, jwt; print(jwt.encode({'exp': int(time.time()) + 600}, sys.argv[1], algorithm='HS256'))";
    let output = std::process::Command::new("/usr/bin/python3").args(["-c", program, key]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    text(&output).trim().to_owned()
}

#[test]
fn a_key_that_signs_tokens_lies_in_the_clear_nowhere_but_with_the_proxy_that_checks_them() {
    let keys = [FIRST, SECOND, "canary-three-0b5e77"].map(|canary| format!("{canary}-and-thirty-two-bytes-of-it"));
    let [first, second, own] = &keys;
    let server = Server::new("tokens", TOKENS);
    server.write(".env", &format!("SIGNING_KEY={first}\nOWN_KEY={own}\n"));
    server.good(&["up", "--detach"]);
    let passes = |path: &str, key: &str| server.passes(path, &token(key));
    assert!(passes("/kept", first) && !passes("/kept", own) && !passes("/kept", second));
    assert!(passes("/own", own) && !passes("/own", first));
    assert!(server.good(&["deploy"]).contains("othing to change"), "the same keys are the same release");

    let rotated = server.fed(&["secret", "rotate", "SIGNING_KEY"], second);
    assert!(rotated.status.success(), "{}", text(&rotated));
    assert!(passes("/kept", second) && !passes("/kept", first) && passes("/own", own));
    server.good(&["rollback"]);
    assert!(passes("/kept", first) && !passes("/kept", second));

    let shown = [
        server.good(&["events", "--json", "-n", "1000"]),
        server.good(&["config"]),
        server.good(&["plan", "--json"]),
        server.good(&["secret", "list"]),
        server.good(&["status", "--json"]),
        server.asked("/v1/apps/tokens/releases/1/spec"),
        server.asked("/v1/apps/tokens/releases/2/spec"),
    ];
    assert!(shown[5].contains(r#"{"stored":{"secret":"SIGNING_KEY","version":1}}"#), "{}", shown[5]);
    let tables = ["proxy/table.json", "proxy/table.json.before"].map(|table| server.home().join(table));
    for key in &keys {
        for (index, shown) in shown.iter().enumerate() {
            // `config` prints what nothing declares a secret, as `docker compose config` does on the same machine.
            assert!(index == 1 && key == own || !shown.contains(key), "answer {index} shows a key: {shown}");
        }
        let found = server.files_with(key);
        assert!(found.iter().all(|file| tables.iter().any(|table| *file == table.display().to_string())), "{found:?}");
        assert_eq!(server.processes_with(key), Vec::<String>::new(), "a process of Landfall shows it");
    }
    for table in &tables {
        assert_eq!(std::fs::metadata(table).unwrap().permissions().mode() & 0o777, 0o600);
    }

    // As an earlier version of Landfall stored it.
    server.good(&["rollback", "2"]);
    let (stored, literal) = (r#"{"stored":{"secret":"jwt.web.2","version":1}}"#, format!(r#"{{"secret":"{own}"}}"#));
    server.sql(&format!("UPDATE release SET spec = replace(spec, '{stored}', '{literal}') WHERE number = 1"));
    assert!(!server.files_with(own).is_empty());
    assert!(!server.asked("/v1/apps/tokens/releases/1/spec").contains(own));
    server.good(&["rollback", "1"]);
    assert!(passes("/own", own) && passes("/kept", first));
    let sealed = server.asked("/v1/apps/tokens/releases/5/spec");
    assert!(sealed.contains(stored), "{sealed}");

    let short = server.fed(&["secret", "rotate", "SIGNING_KEY"], "twelve bytes");
    assert!(!short.status.success() && text(&short).contains("SIGNING_KEY"), "{}", text(&short));
    assert!(passes("/kept", first), "a key that cannot sign is refused before anything is touched");
}

#[test]
fn what_is_missing_weak_lost_or_exchanged_is_refused_before_anything_is_touched() {
    let server = Server::new("vault", FILE);
    server.write(".env", &format!("JWT_SECRET={FIRST}\n"));
    server.good(&["up", "--detach"]);

    server.write(".env", "");
    server.write(
        "compose.yaml",
        &FILE.replace(
            "JWT_SECRET: { secret: true, min_length: 12 }",
            "JWT_SECRET: { secret: true }\n    OTHER: { secret: true, min_length: 20 }",
        ),
    );
    let missing = server.bad(&["deploy"]);
    assert!(missing.contains("vault lacks the secret OTHER") && missing.contains("landfall secret set OTHER -p vault"), "{missing}");
    assert!(server.fed(&["secret", "set", "OTHER"], "too-short-value").status.success());
    let weak = server.bad(&["deploy"]);
    assert!(weak.contains("the secret OTHER has 15 characters, and the contract asks for 20"), "{weak}");
    for (name, value) in
        [("-v", "x"), ("$(id)", "x"), ("a;b", "x"), ("../x", "x"), ("a\nb", "x"), ("a/b", "x"), ("\u{202e}x", "x"), ("OTHER", "")]
    {
        assert!(!server.fed(&["secret", "set", name], value).status.success(), "{name:?} was taken");
    }
    let imported = server.fed(&["secret", "import"], "OTHER=long-enough-for-the-contract\nTHIRD='three words here'\n");
    assert!(text(&imported).contains("~ OTHER") && text(&imported).contains("+ THIRD"), "{}", text(&imported));
    server.good(&["deploy"]);

    // Rows that somebody exchanged do not open, and neither does anything without the key.
    server.sql("UPDATE secret SET sealed = (SELECT s.sealed FROM secret s WHERE s.name = 'THIRD') WHERE name = 'OTHER' AND current = 1");
    let exchanged = server.bad(&["deploy"]);
    assert!(exchanged.contains("was changed or belongs elsewhere"), "{exchanged}");
    assert!(server.fed(&["secret", "set", "OTHER"], "long-enough-for-the-contract").status.success());
    server.good(&["deploy"]);
    std::fs::remove_file(server.home().join("secret.key")).unwrap();
    let lost = server.bad(&["deploy"]);
    assert!(lost.contains("sealed with another key") && lost.contains("every secret has to be set again"), "{lost}");
    let audit = server.good(&["events", "--audit"]);
    assert!(audit.contains("refused: secret-missing") && audit.contains("secret import OTHER THIRD"), "{audit}");
}

/// Everything of it comes from a file of variables that only one machine has.
const LENT: &str = r#"
name: lent
x-landfall:
  runtime: process
  tls: "off"
  env:
    COLOUR: { one_of: [blue, green], default: blue }
  environments:
    staging: { domains: [staging.localhost], values: { URL: "http://staging" } }
services:
  web:
    command: [python3, server.py]
    environment:
      JWT_SECRET: ${TOKEN:-none} # landfall: allow short-secret, placeholder-secret -- told apart by a glance
      URL: ${URL}
      COLOUR: ${COLOUR}
    x-landfall: { routes: [/], health: { path: / } }
"#;

#[test]
fn values_that_only_the_server_has_are_used_or_the_deploy_is_refused() {
    let server = Server::new("lent", LENT);
    server.write(".env", "TOKEN=t1\nURL=http://one\nCOLOUR=green\nEXTRA=1\n");
    server.good(&["up", "--detach"]);
    assert_eq!(server.answer("localhost"), "t1 http://one green");
    let imported = server.good(&["secret", "import", ".env"]);
    assert!(imported.contains("no deploy uses COLOUR, EXTRA, TOKEN, URL"), "{imported}");
    assert!(imported.contains("x-landfall:\n  env:\n    COLOUR: { secret: true }\n    EXTRA: { secret: true }"), "{imported}");
    server.good(&["deploy"]);

    // From where there is no `.env`, as in CI.
    std::fs::remove_file(server.project().join(".env")).unwrap();
    for verb in [&["deploy"][..], &["plan"], &["up", "--detach"]] {
        let refused = server.bad(verb);
        assert!(refused.contains("secret-undeclared") && refused.contains("without the secrets COLOUR, TOKEN, URL"), "{verb:?}: {refused}");
        assert!(
            refused.contains("x-landfall: { env: { COLOUR: { secret: true }, TOKEN: { secret: true }, URL: { secret: true } } }"),
            "{refused}"
        );
        assert!(!refused.contains("EXTRA"), "nothing asks for it: {refused}");
    }
    assert_eq!(server.answer("localhost"), "t1 http://one green", "nothing was touched");
    // One that is set empty is as good as none; one that is set is used.
    let empty = server.landfall(&["plan"]).env("URL", "").env("TOKEN", "t2").env("COLOUR", "green").output().unwrap();
    assert!(!empty.status.success() && text(&empty).contains("without the secret URL, which"), "{}", text(&empty));
    let set = server.landfall(&["plan"]).env("URL", "http://two").env("TOKEN", "t2").env("COLOUR", "green").output().unwrap();
    assert!(set.status.success(), "{}", text(&set));

    // A name alone, and a file that need not be there.
    let alone = LENT.replace("URL: ${URL}", "URL:").replace("COLOUR: ${COLOUR}", "OTHER: x").replace("${TOKEN:-none}", "none");
    server.write("compose.yaml", &alone);
    assert!(server.bad(&["deploy"]).contains("without the secrets COLOUR, URL, which"));
    server.write("compose.yaml", &alone.replace("    environment:", "    env_file: [{ path: .env, required: false }]\n    environment:"));
    let file = server.bad(&["deploy"]);
    assert!(file.contains("EXTRA") && file.contains("`.env` is not there"), "{file}");

    // What the message says to do.
    let declared = LENT.replace(
        "    COLOUR: { one_of: [blue, green], default: blue }",
        "    COLOUR: { secret: true }\n    TOKEN: { secret: true }\n    URL: { secret: true }",
    );
    server.write("compose.yaml", &declared);
    server.good(&["deploy"]);
    assert_eq!(server.answer("localhost"), "t1 http://one green");
    assert!(!server.good(&["secret", "list"]).is_empty());

    // The environment is an app of its own: what it has not, nobody keeps for it; and its own values count.
    server.write("compose.yaml", LENT);
    server.good(&["deploy", "staging"]);
    assert_eq!(server.answer("staging.localhost"), "none http://staging blue");
    assert!(server.fed(&["secret", "set", "TOKEN", "-e", "staging"], "t3").status.success());
    let promoted = server.bad(&["deploy", "staging"]);
    assert!(promoted.contains("lent-staging would be deployed without the secret TOKEN"), "{promoted}");
    assert!(promoted.contains("landfall secret unset TOKEN -p lent -e staging"), "{promoted}");
    assert!(promoted.contains("x-landfall.environments.staging.values"), "{promoted}");
    server.good(&["secret", "unset", "TOKEN", "-e", "staging"]);
    server.good(&["deploy", "staging"]);
}

#[test]
fn environments_are_apps_of_their_own_and_a_reset_wants_its_words() {
    let server = Server::new("vault", FILE);
    server.write(".env", &format!("JWT_SECRET={FIRST}\n"));
    server.good(&["up", "--detach"]);
    let unapproved = server.bad(&["deploy", "staging"]);
    assert!(unapproved.contains("staging asks for approval") && unapproved.contains("--approve"), "{unapproved}");
    server.good(&["deploy", "staging", "--approve"]);
    assert!(server.answer("staging.localhost").ends_with(" green"));
    server.good(&["promote", "staging", "production"]);
    assert!(server.answer("production.localhost").ends_with(" blue"));
    assert!(server.good(&["status", "-e", "staging", "--json"]).contains("\"vault-staging\""));
    // A secret of one is none of the other's.
    for (args, name) in [
        (&["secret", "rotate", "JWT_SECRET", "-e", "staging"][..], "rotate"),
        (&["secret", "rotate", "JWT_SECRET", "-p", "vault-staging"], "rotate by name"),
        (&["rollback", "-e", "staging"], "rollback"),
        (&["rollback", "-p", "vault-staging"], "rollback by name"),
        (&["down", "-e", "staging"], "down"),
        (&["down", "vault-staging"], "down by name"),
        (&["reset", "vault-staging", "--volumes", "--confirm", "RESET_ALL_VOLUMES"], "reset"),
        (&["promote", "production", "staging"], "promote"),
    ] {
        let refused = text(&server.fed(args, SECOND));
        assert!(refused.contains("[not-approved]") && refused.contains("staging asks for approval"), "{name}: {refused}");
    }
    let audit = server.good(&["events", "--audit", "-e", "production"]);
    assert!(audit.contains("promote from staging to production"), "{audit}");
    assert!(server.fed(&["secret", "rotate", "JWT_SECRET", "-e", "staging", "--approve"], SECOND).status.success());
    assert!(server.answer("staging.localhost").starts_with(SECOND) && server.answer("production.localhost").starts_with(FIRST));
    std::fs::create_dir(server.project().join("staging")).unwrap();
    assert!(server.bad(&["deploy", "staging"]).contains("-e staging"));
    assert!(server.bad(&["deploy", "stagin"]).contains("environments of the file: production, staging"));
    for name in ["$(id)", "-x", "../..", "a b", "STAGING"] {
        assert!(!server.landfall(&["deploy", "-e", name]).output().unwrap().status.success(), "{name:?} was taken");
    }

    for words in [&[][..], &["--confirm", "RESET"], &["--confirm", "reset_all_volumes"]] {
        let refused = server.landfall(&[&["reset", "vault-staging", "--volumes", "--approve"], words].concat()).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
        assert!(text(&refused).contains("nothing was touched"), "{}", text(&refused));
    }
    server.good(&["reset", "vault-staging", "--volumes", "--confirm", "RESET_ALL_VOLUMES", "--approve"]);
    assert!(server.answer("production.localhost").starts_with(FIRST));
}
