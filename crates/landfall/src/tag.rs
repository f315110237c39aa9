//! The tag a deploy is asked for: `${TAG}` of the file, or the tag of single services.
//!
//! A tag that would change nothing is refused: whoever asks for `next` and gets `main` finds out too late.

use crate::cli::TagChoice;
use crate::error::{Outcome, Plain};
use crate::project::Project;
use landfall_model::name::{ImageRef, ServiceName};
use landfall_model::spec::{Program, Spec};
use std::collections::BTreeMap;

/// The variable by which a file leaves a tag open. Every plan in the field calls it so.
const VARIABLE: &str = "TAG";

/// Sets the variable, and makes sure that an image of the file has its tag from it.
pub fn set(project: Project, tags: &[TagChoice]) -> Outcome<Project> {
    let mut everywhere = tags.iter().filter(|choice| choice.service.is_none()).map(|choice| &choice.tag);
    let Some(tag) = everywhere.next() else { return Ok(project) };
    if everywhere.next().is_some() {
        return Err(Plain::usage("two-tags", "`--tag` is given twice").hint("name services: `--tag web=1.2 --tag worker=1.3`").into());
    }
    // Compared with another value of the variable, not with none: the default may be the very tag that is asked for.
    let other = project.with_variable(VARIABLE, "landfall-other-tag");
    let before = other.resolve().spec.map(|spec| images(&spec));
    let project = other.with_variable(VARIABLE, tag.as_str());
    let after = project.resolve().spec.map(|spec| images(&spec));
    // A file with errors is complained about by who compiles it next.
    if before.is_some() && before == after {
        let message = format!("no image in {} has its tag from `${{{VARIABLE}}}`, so `--tag {tag}` would change nothing", project.files());
        let hint = format!("write `image: …:${{{VARIABLE}:-main}}` into the file, or name the service: `--tag SERVICE={tag}`");
        return Err(Plain::usage("no-tag", message).hint(hint).into());
    }
    Ok(project)
}

/// Changes the tags of single services.
pub fn choose(spec: &mut Spec, tags: &[TagChoice]) -> Outcome {
    for (name, tag) in tags.iter().filter_map(|choice| Some((choice.service.as_ref()?, &choice.tag))) {
        let known: Vec<String> = images(spec).into_keys().map(|name| name.to_string()).collect();
        let program = spec.services.get_mut(name).map(|service| &mut service.template.program);
        let Some(Program::Image { reference, .. }) = program else {
            let plain = Plain::usage("no-service", format!("{} has no service `{name}` with an image", spec.app));
            return Err(plain.hint(format!("services with images: {}", known.join(", "))).into());
        };
        *reference = reference.with_tag(tag);
    }
    Ok(())
}

fn images(spec: &Spec) -> BTreeMap<ServiceName, ImageRef> {
    let image = |program: &Program| match program {
        Program::Image { reference, .. } => Some(reference.clone()),
        Program::Executable { .. } => None,
    };
    spec.services.iter().filter_map(|(name, s)| Some((name.clone(), image(&s.template.program)?))).collect()
}
