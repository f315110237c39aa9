//! Reads Compose files from standard input, each ended by a NUL, and answers with a line of JSON for each: the extensions of the resolved model, or `null`
//! when the file is refused. For `bench/yaml.py`, which asks a hundred thousand times.
#![allow(clippy::unwrap_used, reason = "a tool of this repository may panic")]

use landfall_model::compose::{FileProblem, Files, Input, resolve};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, Write as _};

struct One(Vec<u8>);

impl Files for One {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        if path == "compose.yaml" { Ok(self.0.clone()) } else { Err(FileProblem::NotFound) }
    }
    fn exists(&self, path: &str) -> bool {
        path == "compose.yaml"
    }
}

fn main() {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let env = BTreeMap::from([("HOME".to_owned(), "/nonexistent".to_owned())]);
    loop {
        let mut text = Vec::new();
        if input.read_until(0, &mut text).unwrap() == 0 {
            break;
        }
        text.pop();
        let resolved = resolve(&Input {
            files: &["compose.yaml".to_owned()],
            cwd: "/srv/app",
            project_dir: "/srv/app",
            project_name: None,
            env: &env,
            env_files: None,
            profiles: BTreeSet::new(),
            reader: &One(text),
            rules: None,
            environment: None,
        });
        let extensions = resolved.config().map(|mut model| {
            if let Some(keys) = model.as_object_mut() {
                keys.retain(|key, _| key.starts_with("x-"));
            }
            model
        });
        writeln!(output, "{}", serde_json::to_string(&extensions).unwrap()).unwrap();
        output.flush().unwrap();
    }
}
