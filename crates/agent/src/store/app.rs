//! What is remembered of an app beside its releases.

use super::{OptionalExtension, Store, fail, json, parsed, parsed_word, word};
use crate::error::StoreError;
use landfall_model::name::{AppName, ReleaseNumber, ServiceName};
use landfall_model::plan::Serving;
use landfall_model::spec::RuntimeKind;
use rusqlite::{Row, params};
use std::collections::BTreeMap;

/// One app.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AppRow {
    /// Which.
    pub name: AppName,
    /// What runs it.
    pub runtime: RuntimeKind,
    /// The release that serves.
    pub release: Option<ReleaseNumber>,
    /// Who stands for what.
    pub serving: Serving,
    /// Loopback port by which each service is known inside the app (process runtime).
    pub ports: BTreeMap<ServiceName, u16>,
}

impl AppRow {
    /// An app that has nothing yet.
    pub(crate) fn new(name: AppName, runtime: RuntimeKind) -> Self {
        Self { name, runtime, release: None, serving: Serving::default(), ports: BTreeMap::new() }
    }
}

impl Store {
    /// All apps, by name.
    pub(crate) fn apps(&self) -> Result<Vec<AppRow>, StoreError> {
        let connection = self.lock();
        let mut query = connection.prepare_cached("SELECT * FROM app ORDER BY name").map_err(fail("list apps"))?;
        let rows = query.query_map([], read).map_err(fail("list apps"))?;
        rows.collect::<Result<_, _>>().map_err(fail("list apps"))
    }

    /// One app.
    pub(crate) fn app(&self, name: &AppName) -> Result<Option<AppRow>, StoreError> {
        self.lock().query_row("SELECT * FROM app WHERE name = ?1", [name.as_str()], read).optional().map_err(fail("read an app"))
    }

    /// Writes an app.
    pub(crate) fn put_app(&self, app: &AppRow) -> Result<(), StoreError> {
        self.writer("write an app")?
            .execute(
                "INSERT INTO app (name, runtime, release, serving, ports) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (name) DO UPDATE SET runtime = ?2, release = ?3, serving = ?4, ports = ?5",
                params![app.name.as_str(), word(&app.runtime)?, app.release.map(|r| r.0), json(&app.serving)?, json(&app.ports)?],
            )
            .map_err(fail("write an app"))?;
        Ok(())
    }

    /// Writes who stands for what.
    pub(crate) fn put_serving(&self, app: &AppName, serving: &Serving) -> Result<(), StoreError> {
        self.writer("write who serves")?
            .execute("UPDATE app SET serving = ?2 WHERE name = ?1", params![app.as_str(), json(serving)?])
            .map_err(fail("write who serves"))?;
        Ok(())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<AppRow> {
    Ok(AppRow {
        name: parsed_word(row, "name")?,
        runtime: parsed_word(row, "runtime")?,
        release: row.get::<_, Option<u64>>("release")?.map(ReleaseNumber),
        serving: parsed(row, "serving")?,
        ports: parsed(row, "ports")?,
    })
}
