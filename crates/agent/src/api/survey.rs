//! What only the agent can tell whoever judges this server. Values are judged here and stay here.

use crate::core::Core;
use crate::error::{RequestError, SecretError};
use crate::reach;
use axum::Json;
use axum::extract::State;
use landfall_model::compose::weakness;
use landfall_model::name::AppName;
use landfall_model::spec::Spec;
use landfall_model::survey::{Served, Survey, WeakLogin};
use std::sync::Arc;

pub(super) async fn show(State(core): State<Arc<Core>>) -> Result<Json<Survey>, RequestError> {
    let mut survey = Survey { disks: core.store.disks()?, ..Survey::default() };
    for row in core.store.apps()? {
        let Some(spec) = core.current_spec(&row)? else { continue };
        survey.domains.extend(spec.all_domains().into_iter().map(|domain| Served { app: row.name.clone(), domain: domain.to_string() }));
        survey.projects.push(spec.project_dir.clone());
        if let Ok(observed) = core.observe(&spec).await {
            survey.cut_off.extend(reach::cut_off(&core, (&row.name, spec.runtime), &observed).await);
        }
        if let Err(error) = judge(&core, &row.name, &spec, &mut survey.logins) {
            survey.unjudged.push(format!("{}: {error}", row.name));
        }
    }
    survey.projects.sort();
    survey.projects.dedup();
    Ok(Json(survey))
}

/// What its replicas are started with.
fn judge(core: &Core, app: &AppName, spec: &Spec, into: &mut Vec<WeakLogin>) -> Result<(), SecretError> {
    for (service, declared) in &spec.services {
        let mut template = declared.template.clone();
        core.secrets.fill(&core.store, app, &mut template)?;
        let mut weak = |variable: &str, name: &str, value: &str| {
            if let Some(weakness) = weakness(name, value) {
                into.push(WeakLogin { app: app.clone(), service: service.clone(), variable: variable.to_owned(), weakness });
            }
        };
        for (key, value) in &template.environment {
            weak(key.as_str(), key.as_str(), value.reveal());
        }
        for file in &template.container.files {
            let name = file.target.rsplit('/').next().unwrap_or_default();
            // Of what is no text nobody knows a default.
            let bytes = file.content.reveal();
            weak(&file.target, name, std::str::from_utf8(bytes).unwrap_or_default().trim());
        }
    }
    Ok(())
}
