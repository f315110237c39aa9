//! `landfall ci github`, `landfall ci gitlab`: writes the pipeline, prints it, or says whether it is the one that would be written.
//!
//! A file that is there and says something else is somebody's work: it stays, unless `--force` is given.

use super::Context;
use crate::ci::{Pipeline, Wanted, pipelines, read};
use crate::cli::{Ci, CiSystem, CiVerb};
use crate::error::{Outcome, Plain};
use crate::project::Project;
use std::path::Path;
use std::process::ExitCode;

/// Exit code of `--check` when a file differs: as that of `plan --exit-code`.
const DIFFERS: u8 = 4;
/// A pipeline that somebody wrote is read up to here; a longer one differs in any case.
const MAX: u64 = 1024 * 1024;

/// Does one of the three.
pub fn run(context: &Context, args: Ci) -> Outcome<ExitCode> {
    let (system, args) = match args.verb {
        CiVerb::Github(args) => (CiSystem::Github, args),
        CiVerb::Gitlab(args) => (CiSystem::Gitlab, args),
    };
    if let Some(environment) = &args.project.environment {
        return Err(Plain::usage("ci-environment", format!("a pipeline is for all environments of the file, not for {environment} alone"))
            .hint("leave `-e` out; `--staging BRANCH` and `--production BRANCH` say what deploys which")
            .into());
    }
    let project = Project::locate(&context.settings, args.path.as_deref(), &args.project)?;
    let wanted = Wanted {
        staging: args.staging,
        production: args.production,
        test: args.test,
        url: args.landfall_url,
        sha256: args.landfall_sha256,
    };
    let (plan, root) = read(project, wanted, &context.printer)?;
    let files = pipelines(system, &plan);
    if args.print {
        return print(context, &files);
    }
    let mut differ = Vec::new();
    for file in &files {
        let old = there(&root.join(file.path))?;
        match old.as_deref() {
            Some(old) if old == file.text => {}
            Some(old) => differ.push((file, Some(old.to_owned()))),
            None => differ.push((file, None)),
        }
    }
    if args.check {
        for (file, old) in &differ {
            context.printer.diff(file.path, old.as_deref().unwrap_or_default(), &file.text)?;
        }
        return Ok(ExitCode::from(if differ.is_empty() { 0 } else { DIFFERS }));
    }
    if let Some((file, _)) = differ.iter().find(|(_, old)| old.is_some()).filter(|_| !args.force) {
        return Err(Plain::usage("ci-exists", format!("{} is there and says something else", file.path))
            .hint("see what would change with `--check`, and write over it with `--force`")
            .into());
    }
    for (file, _) in &differ {
        let path = root.join(file.path);
        let failed = |e| Plain::failed("cannot-write", format!("cannot write {}", path.display())).because(e);
        path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, &file.text)).map_err(failed)?;
    }
    tell(context, &files, &differ.iter().map(|(file, _)| file.path).collect::<Vec<_>>(), plan.tests.is_empty())
}

fn print(context: &Context, files: &[Pipeline]) -> Outcome<ExitCode> {
    if context.printer.is_json() {
        let files: Vec<_> = files.iter().map(|file| serde_json::json!({ "path": file.path, "text": file.text })).collect();
        context.printer.json(&files)?;
    } else {
        for file in files {
            // One document after the other, each under its name: still YAML.
            let name = if files.len() > 1 { format!("--- # {}\n", file.path) } else { String::new() };
            context.printer.text(&format!("{name}{}", file.text))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What is there; nothing when there is no such file.
fn there(path: &Path) -> Outcome<Option<String>> {
    use std::io::Read as _;
    let mut text = Vec::new();
    match std::fs::File::open(path).and_then(|file| file.take(MAX).read_to_end(&mut text)) {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Plain::failed("unreadable-file", format!("cannot read {}", path.display())).because(e).into()),
    }
}

fn tell(context: &Context, files: &[Pipeline], written: &[&str], untested: bool) -> Outcome<ExitCode> {
    if context.printer.is_json() {
        let files: Vec<_> =
            files.iter().map(|file| serde_json::json!({ "path": file.path, "written": written.contains(&file.path) })).collect();
        context.printer.json(&files)?;
        return Ok(ExitCode::SUCCESS);
    }
    for file in files {
        let said = if written.contains(&file.path) { "is written" } else { "is as it should be" };
        context.printer.done(&format!("{} {said}", file.path))?;
    }
    if untested {
        context.printer.warning("nothing here tells how the project is tested: say it with `--test COMMAND`");
    }
    context.printer.line("next: set its secrets and variables (docs/guides/ci.md), then commit it")?;
    Ok(ExitCode::SUCCESS)
}
