//! What `landfall` writes for other programs, against the official descriptions of those formats.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What `check --format sarif` writes about a file.
fn sarif(compose: &str) -> Value {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("compose.yaml"), compose).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    command.args(["check", "--format", "sarif"]).current_dir(dir.path()).env_clear().env("LANDFALL_HOME", dir.path());
    serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
}

#[test]
fn sarif_is_what_its_standard_says() {
    let mut schema: Value = serde_json::from_str(include_str!("data/sarif-schema-2.1.0.json")).unwrap();
    // This revision's pattern for languages has a stray bracket and is no regular expression (put right in errata 01).
    for of in ["run", "toolComponent"] {
        schema["definitions"][of]["properties"]["language"].as_object_mut().unwrap().remove("pattern").unwrap();
    }
    let validator = jsonschema::validator_for(&schema).unwrap();
    let files = [
        "services: { web: { image: nginx } }\n",
        "services:\n  web:\n    imgae: \"é\"\n    privileged: true\n    container_name: x\n",
        "services: [\n",
        "",
    ];
    for file in files {
        let log = sarif(file);
        let wrong: Vec<String> = validator.iter_errors(&log).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(wrong.is_empty(), "{wrong:#?}\n{log:#}");
        let run = &log["runs"][0];
        for result in run["results"].as_array().unwrap() {
            let rule = &run["tool"]["driver"]["rules"][usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
            assert_eq!(rule["id"], result["ruleId"]);
            let page = rule["helpUri"].as_str().unwrap().rsplit("blob/main/").next().unwrap();
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page).is_file(), "there is no page {page}");
        }
    }
    let bad = sarif(files[1]);
    let codes: Vec<&str> = bad["runs"][0]["results"].as_array().unwrap().iter().filter_map(|r| r["ruleId"].as_str()).collect();
    assert!(codes.contains(&"unknown-key") && codes.contains(&"not-honoured"), "{codes:?}");
}
