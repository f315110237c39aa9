//! The app the simulator deploys, as a Compose file.

use landfall_model::compose::{FileProblem, Files, Input, resolve};
use landfall_model::spec::Spec;
use std::collections::{BTreeMap, BTreeSet};

/// A database that is replaced in place, a backend that migrates, a frontend with a route. Versions change what their names say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct App {
    /// Of backend and frontend.
    pub version: u32,
    /// Of the database, which is replaced in place.
    pub database: u32,
}

const FILE: &str = r#"
name: sim
x-landfall: { runtime: process }
services:
  db:
    command: [/bin/db]
    environment: { VERSION: "${DATABASE}" }
    healthcheck: { test: [CMD, ready], timeout: 1s }
    deploy: { update_config: { order: stop-first } }
    x-landfall: { port: 5432, drain: 1s, health: { deadline: 400ms } }
  backend:
    command: [/bin/backend]
    environment: { VERSION: "${VERSION}" }
    depends_on: { db: { condition: service_healthy } }
    healthcheck: { test: [CMD, ready], timeout: 1s }
    deploy: { replicas: 2 }
    x-landfall: { port: 8000, drain: 1s, migrate: [act, '{"do":"exit","code":0}'], health: { deadline: 400ms } }
  frontend:
    command: [/bin/frontend]
    environment: { VERSION: "${VERSION}" }
    depends_on: { backend: { condition: service_healthy } }
    healthcheck: { test: [CMD, ready], timeout: 1s }
    x-landfall: { routes: [/], drain: 1s, health: { deadline: 400ms } }
"#;

struct OneFile;

impl Files for OneFile {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        if path == "compose.yaml" { Ok(FILE.as_bytes().to_vec()) } else { Err(FileProblem::NotFound) }
    }
    fn exists(&self, path: &str) -> bool {
        path == "compose.yaml"
    }
}

impl App {
    /// Its spec.
    ///
    /// # Panics
    /// When the file above is wrong.
    pub fn spec(self) -> Spec {
        let env = BTreeMap::from([("VERSION".to_owned(), self.version.to_string()), ("DATABASE".to_owned(), self.database.to_string())]);
        let files = ["compose.yaml".to_owned()];
        let input = Input {
            files: &files,
            cwd: "/srv/sim",
            project_dir: "/srv/sim",
            project_name: None,
            env: &env,
            env_files: None,
            profiles: BTreeSet::new(),
            reader: &OneFile,
            rules: None,
            environment: None,
        };
        let output = resolve(&input);
        output.spec.unwrap_or_else(|| panic!("the simulator's app is wrong: {:?}", output.diagnostics))
    }
}
