//! From a project to a [`Plan`]: what its file builds, tests and deploys. Reads files, changes none.
//!
//! A file that Landfall would not deploy gets no pipeline: it would fail at its first job, and its author is here now.

use super::plan::{Arg, Build, Plan, Stage, Target, Tool};
use super::test;
use super::word::{Branch, Digest, Download, Literal};
use crate::error::{Outcome, Plain};
use crate::output::Printer;
use crate::project::Project;
use landfall_model::compose::Output;
use landfall_model::name::{EnvironmentName, ImageRef, ServiceName};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// Stands for a tag, to find out which images have theirs from `${TAG}`.
const PROBE: &str = "landfall-probed-tag";
/// Largest landfall that is digested.
const MAX_BINARY: u64 = 512 * 1024 * 1024;

/// What was asked for beside the file.
pub struct Wanted {
    /// Branch that the environment `staging` follows; that of production when absent.
    pub staging: Option<Branch>,
    /// Branch that production follows.
    pub production: Branch,
    /// What to test with, in place of what the files tell.
    pub test: Option<String>,
    /// Where jobs get Landfall from; this version's release when absent.
    pub url: Option<Download>,
    /// Its digest; this program's own when absent.
    pub sha256: Option<Digest>,
}

/// The plan of a project, and the root of the repository it lies in.
pub fn read(mut project: Project, wanted: Wanted, printer: &Printer) -> Outcome<(Plan, PathBuf)> {
    let root = repository(&project.dir);
    let probed = project.clone().with_variable("TAG", PROBE).resolve();
    let (spec, output) = project.spec(printer)?;
    let names: Vec<EnvironmentName> = output.environments.keys().cloned().collect();
    let open = |service: &ServiceName| probed.model.as_ref().map(|model| model.passed_args(service.as_str()).to_vec()).unwrap_or_default();
    let (services, elsewhere) = (services(&probed), services(&elsewhere(&project, &probed)));
    let (mut images, mut tests) = (Vec::new(), Vec::new());
    for (name, service) in &services {
        let Some(build) = service.get("build").filter(|build| build.is_object()) else { continue };
        let mut image = image(name, build, service, &project.dir, &root)?;
        image.args = args(name, &build["args"], &elsewhere.get(name).unwrap_or(&Value::Null)["build"]["args"], &open(name))?;
        tests.extend(test::of(&image, &project.dir)?);
        images.push(image);
    }
    if let Some(command) = &wanted.test {
        tests = vec![test::typed(command)?];
    } else if images.is_empty() {
        tests.extend(test::here(&project.dir)?);
    }
    test::once(&mut tests);
    let tagged = services.values().any(|service| service["image"].as_str().is_some_and(|image| image.contains(PROBE)));
    let mut targets = Vec::new();
    for name in &names {
        project.environment = Some(name.clone());
        let approve = output.environments.get(name).is_some_and(|environment| environment.approve);
        targets.push(Target { environment: Some(name.clone()), name: name.clone(), approve, url: url(&project)? });
    }
    let stages = stages(&targets, &wanted)?;
    let others = targets.iter().filter(|target| stages.iter().all(|stage| stage.target.name != target.name));
    let manual = stages.iter().map(|stage| &stage.target).chain(others).cloned().collect();
    let directory = relative(&project.dir, &root, &root).filter(|below| below != ".");
    let directory = directory.map(|below| Literal::new("the project's directory", &below)).transpose()?;
    Ok((Plan { app: spec.app, directory, images, tests, stages, manual, tagged, tool: tool(&wanted)? }, root))
}

/// The services as Docker Compose sees them, by name.
fn services(output: &Output) -> BTreeMap<ServiceName, Value> {
    let config = output.config().unwrap_or_default();
    let all = config["services"].as_object().cloned().unwrap_or_default();
    all.into_iter().filter_map(|(name, service)| Some((name.parse().ok()?, service))).collect()
}

/// The directory above (or here) that git keeps; the project's own where there is none.
fn repository(dir: &Path) -> PathBuf {
    dir.ancestors().find(|dir| dir.join(".git").exists()).unwrap_or(dir).to_owned()
}

fn image(service: &ServiceName, build: &Value, of: &Value, dir: &Path, root: &Path) -> Outcome<Build> {
    let text = |key: &str| build[key].as_str().unwrap_or_default();
    let bad = |why: String, hint: &str| Plain::usage("ci-build", format!("`{service}` cannot be built in a pipeline: {why}")).hint(hint);
    let reference: ImageRef = match of["image"].as_str().map(str::parse) {
        Some(Ok(reference)) => reference,
        Some(Err(e)) => return Err(Plain::usage("ci-build", format!("`{service}` has no image that can be pushed")).because(e).into()),
        None => {
            let hint = format!("write `image: ghcr.io/OWNER/REPOSITORY-{service}:${{TAG:-main}}` beside its `build`");
            return Err(bad("it has no `image`, so nothing says where the image goes".to_owned(), &hint).into());
        }
    };
    let name = reference.as_str().strip_suffix(PROBE).and_then(|name| name.strip_suffix(':'));
    let Some(name) = name else {
        let hint = "write its tag as `${TAG:-main}`: the pipeline sets TAG to the commit it built";
        return Err(bad(format!("its image `{reference}` does not have its tag from `${{TAG}}`"), hint).into());
    };
    let context = dir.join(text("context"));
    let Some(below) = relative(&context, dir, root) else {
        return Err(
            bad(format!("its context {} is not in the repository", text("context")), "build from a directory of the repository").into()
        );
    };
    if build.get("dockerfile_inline").is_some() {
        return Err(bad(
            "its Dockerfile is written into the Compose file".to_owned(),
            "put it into a file of its own and name it with `dockerfile`",
        )
        .into());
    }
    let dockerfile = match text("dockerfile") {
        "" => "Dockerfile",
        named => named,
    };
    let file = relative(&context.join(dockerfile), dir, root)
        .ok_or_else(|| bad(format!("its Dockerfile {dockerfile} is not in the repository"), "name one of the repository"))?;
    Ok(Build {
        service: service.clone(),
        image: Literal::new("the image's name", name)?,
        registry: reference.registry(),
        context: Literal::new("the context", &below)?,
        dockerfile: Literal::new("the Dockerfile's name", &file)?,
        target: Literal::new("the target", text("target"))?,
        args: Vec::new(),
    })
}

/// The project as it would be where every variable has another value, so that what came from this machine shows.
fn elsewhere(project: &Project, here: &Output) -> Output {
    let variables = here.model.iter().flat_map(|model| model.variables());
    // Compose's own choose files and profiles.
    let others = variables.filter(|(key, _)| !key.starts_with("COMPOSE_"));
    others.fold(project.clone(), |project, (key, value)| project.with_variable(key, &format!("{value}{PROBE}"))).resolve()
}

/// Variables of the step that builds, and of its shell.
const TAKEN: [&str; 10] = ["BRANCH", "BUILD_ARGS", "CONTEXT", "DOCKERFILE", "HOME", "IMAGE", "PATH", "SHELL", "TAG", "TARGET"];

/// What the file gives an argument; without a value it is the pipeline's. A value that a variable of this machine had a part in is refused: a
/// pipeline is committed, and read by everybody.
fn args(service: &ServiceName, args: &Value, elsewhere: &Value, open: &[String]) -> Outcome<Vec<Arg>> {
    let given = args.as_object().into_iter().flatten().filter(|(key, _)| !open.contains(key)).map(|(key, value)| (key, value.as_str()));
    let mut out = Vec::new();
    for (key, value) in given.chain(open.iter().map(|key| (key, None))) {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let refused = |why: &str| Plain::usage("ci-build", format!("the build argument `{}` of `{service}` {why}", key.escape_debug()));
        if !key.bytes().all(word) || !key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') || key.len() > 100 {
            return Err(refused("is no variable's name").hint("letters, digits and `_`").into());
        }
        if value.is_none() && TAKEN.contains(&key.as_str()) {
            return Err(refused("has the name of a variable that the pipeline or its shell needs")
                .hint("give it a value in the file, or another name")
                .into());
        }
        if value.is_some_and(|value| elsewhere[key].as_str() != Some(value)) {
            let hint = format!("name it without a value, `args: [{key}]`: it is then a variable of the repository or project");
            return Err(refused("has a value from this machine's variables, which does not belong in a file that is committed")
                .hint(hint)
                .into());
        }
        let what = format!("the build argument {key} of `{service}`");
        out.push(Arg { key: Literal::new(&what, key)?, value: value.map(|value| Literal::new(&what, value)).transpose()? });
    }
    Ok(out)
}

/// A path of the repository, as seen from the project's directory.
fn relative(path: &Path, dir: &Path, root: &Path) -> Option<String> {
    let path = plain(path)?;
    path.strip_prefix(root).ok()?;
    if let Ok(below) = path.strip_prefix(dir) {
        return Some(match below.to_str()? {
            "" => ".".to_owned(),
            // It would be read as an option.
            dash if dash.starts_with('-') => format!("./{dash}"),
            below => below.to_owned(),
        });
    }
    let up = dir.ancestors().position(|above| path.starts_with(above))?;
    let above = dir.ancestors().nth(up)?;
    let rest = path.strip_prefix(above).ok()?.to_str()?;
    Some(format!("{}{rest}", "../".repeat(up)).trim_end_matches('/').to_owned())
}

/// Without `.` and `..`.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => out.pop().then_some(())?,
            other => out.push(other),
        }
    }
    Some(out)
}

/// Where the chosen environment is reached.
fn url(project: &Project) -> Outcome<Option<Literal>> {
    let config = project.resolve().config().unwrap_or_default();
    let landfall = &config["x-landfall"];
    let own = project.environment.as_ref().map_or(&Value::Null, |name| &landfall["environments"][name.as_str()]["domains"]);
    let domains = if own.is_null() { &landfall["domains"] } else { own };
    let first = domains.as_str().or_else(|| domains[0].as_str());
    let scheme = if landfall["tls"] == "off" { "http" } else { "https" };
    Ok(first.map(|domain| Literal::new("the domain", &format!("{scheme}://{domain}"))).transpose()?)
}

/// What a push deploys: staging, then production; or the app itself, where the file declares no environment.
fn stages(targets: &[Target], wanted: &Wanted) -> Outcome<Vec<Stage>> {
    let named = |name: &str| targets.iter().find(|target| target.name.as_str() == name).cloned();
    let staging = named("staging");
    if wanted.staging.is_some() && staging.is_none() {
        return Err(Plain::usage("ci-environment", "the file declares no environment `staging` for `--staging`")
            .hint("declare it: `x-landfall: { environments: { staging: { server: \"ssh://…\", domains: […] } } }`")
            .into());
    }
    let production = match named("production") {
        Some(production) => production,
        None if targets.is_empty() => Target { environment: None, name: parsed("production")?, approve: false, url: None },
        None => {
            let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
            return Err(Plain::usage(
                "ci-environment",
                format!("the file declares no environment `production`, only {}", names.join(", ")),
            )
            .hint("name the one that is live `production`; `staging` goes before it, and all others are deployed by hand")
            .into());
        }
    };
    let before = staging.map(|target| {
        let branch = wanted.staging.clone().unwrap_or_else(|| wanted.production.clone());
        Stage { asks: target.approve, target, branch }
    });
    Ok(before.into_iter().chain([Stage { target: production, branch: wanted.production.clone(), asks: true }]).collect())
}

fn parsed(name: &str) -> Outcome<EnvironmentName> {
    Ok(name.parse().map_err(|e: landfall_model::name::NameError| Plain::usage("ci-environment", e.to_string()))?)
}

/// The landfall that jobs run: by default the very program that writes the pipeline, so that both read the file alike.
fn tool(wanted: &Wanted) -> Outcome<Tool> {
    let version = env!("CARGO_PKG_VERSION");
    let released = format!("{}/releases/download/v{version}/landfall-{}-linux", env!("CARGO_PKG_REPOSITORY"), std::env::consts::ARCH);
    let wrong = |e: landfall_model::name::NameError| Plain::usage("ci-tool", e.to_string());
    let url = match &wanted.url {
        Some(url) => url.clone(),
        None => released.parse().map_err(wrong)?,
    };
    let sha256 = match &wanted.sha256 {
        Some(sha256) => sha256.clone(),
        None => own_digest()?.parse().map_err(wrong)?,
    };
    Ok(Tool { version, url, sha256 })
}

fn own_digest() -> Outcome<String> {
    let failed = |e: std::io::Error| {
        Plain::failed("ci-tool", "this program cannot be read for its digest").because(e).hint("say it: `--landfall-sha256 DIGEST`")
    };
    let mut file = std::io::Read::take(std::fs::File::open("/proc/self/exe").map_err(failed)?, MAX_BINARY);
    let mut digest = Sha256::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match std::io::Read::read(&mut file, &mut piece).map_err(failed)? {
            0 => break,
            read => digest.update(piece.get(..read).unwrap_or_default()),
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
