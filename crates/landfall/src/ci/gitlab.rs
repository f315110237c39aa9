//! The pipeline in GitLab's words.
//!
//! Values of a user's are variables that are not expanded. Secrets are the project's own variables, which GitLab gives to protected branches only when
//! they are marked so; each deploy runs alone (`resource_group`), and production waits for a person.

use super::github::TRIVY;
use super::plan::{Build, How, Plan, Stage, Target, Test};
use super::script;
use super::yaml::{Map, Yaml};

/// curl, git and ssh.
const TOOLS: &str = "buildpack-deps:bookworm-scm";
const DOCKER: &str = "docker:28-cli";
const ENGINE: &str = "docker:28-dind";
const BY_HAND: &str = r#"$CI_PIPELINE_SOURCE == "web" && $LANDFALL_ENVIRONMENT == "#;

/// All of it.
pub fn pipeline(plan: &Plan) -> String {
    let kinds = ["check", "test", "build", "scan"].map(str::to_owned).into_iter();
    let stages: Vec<String> = kinds.chain(plan.manual.iter().map(|target| target.name.to_string())).chain(["notify".to_owned()]).collect();
    let mut top =
        Map::new().with("stages", stages).with("variables", variables(plan)).with("workflow", workflow(plan)).with("default", default());
    top = top.with("check", check(plan));
    for (index, test) in plan.tests.iter().enumerate() {
        let name = if plan.tests.len() == 1 { "test".to_owned() } else { format!("test-{}", index + 1) };
        top = top.with(name, self::test(plan, test));
    }
    for image in &plan.images {
        top = top.with(format!("build:{}", image.service), build(plan, image)).with(format!("scan:{}", image.service), scan(plan, image));
    }
    for target in &plan.manual {
        let stage = plan.stages.iter().find(|stage| stage.target.name == target.name);
        top = top.with(format!("deploy:{}", target.name), deploy(plan, target, stage));
    }
    let heading = format!(
        "Written by `landfall ci gitlab` {}. To change it, change the Compose file or the options and write it anew;\nwhat it wants to be set is in docs/guides/ci.md of Landfall.",
        plan.tool.version
    );
    top.with("tell:done", notify(plan, "done", "on_success")).with("tell:failed", notify(plan, "failed", "on_failure")).document(&heading)
}

fn variables(plan: &Plan) -> Map {
    let mut names = vec!["none".to_owned()];
    names.extend(plan.manual.iter().map(|target| target.name.to_string()));
    let environment = Map::new().with("value", "none").with("options", names).with("description", "To deploy by hand: where to");
    let tag =
        Map::new().with("value", "").with("description", "To deploy by hand: the tag of the images, such as sha-… of a commit or main");
    Map::new()
        .with("LANDFALL_URL", plan.tool.url.to_string())
        .because("The landfall that the jobs run; only this very file is taken.")
        .with("LANDFALL_SHA256", plan.tool.sha256.to_string())
        .with("LANDFALL_ENVIRONMENT", environment)
        .maybe("LANDFALL_TAG", plan.tagged.then_some(tag))
}

fn rule(condition: impl Into<String>) -> Map {
    Map::new().with("if", condition.into())
}

/// Merge requests, pushes to a branch that deploys, and what a person starts.
fn workflow(plan: &Plan) -> Map {
    let mut rules = vec![rule(r#"$CI_PIPELINE_SOURCE == "merge_request_event""#), rule(r#"$CI_PIPELINE_SOURCE == "web""#)];
    rules.extend(plan.branches().iter().map(|branch| rule(pushed(branch))));
    Map::new().with("rules", rules)
}

fn pushed(branch: &str) -> String {
    format!(r#"$CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == "{branch}""#)
}

fn default() -> Map {
    Map::new().with("image", TOOLS).with("timeout", "30 minutes").with("interruptible", true)
}

/// A text that nothing expands.
fn literal(text: impl ToString) -> Map {
    Map::new().with("value", text.to_string()).with("expand", false)
}

fn scripts(plan: &Plan, parts: &[&str]) -> Yaml {
    let directory = plan.directory.as_ref().map(|_| "cd \"$DIRECTORY\"\n").unwrap_or_default();
    Yaml::List(
        parts
            .iter()
            .enumerate()
            .map(|(index, part)| Yaml::Block(format!("set -eu\n{}{part}", if index == 0 { directory } else { "" })))
            .collect(),
    )
}

fn inside(plan: &Plan, variables: Map) -> Map {
    variables.maybe("DIRECTORY", plan.directory.as_ref().map(literal))
}

/// Not for what a person started to deploy.
fn unless_by_hand() -> Vec<Map> {
    vec![rule(r#"$CI_PIPELINE_SOURCE != "web""#)]
}

fn installing() -> String {
    format!("{}export PATH=\"$DIR:$PATH\"\n", script::INSTALL)
}

fn check(plan: &Plan) -> Map {
    let paths =
        vec![plan.directory.as_ref().map_or_else(|| "landfall.sarif".to_owned(), |directory| format!("{directory}/landfall.sarif"))];
    Map::new()
        .with("stage", "check")
        .with("rules", unless_by_hand())
        .with("variables", inside(plan, Map::new().with("DIR", "$CI_PROJECT_DIR/.landfall")))
        .with("script", scripts(plan, &[&installing(), "landfall check --format sarif > landfall.sarif || true\nlandfall check\n"]))
        .with("artifacts", Map::new().with("when", "always").with("paths", paths).with("expire_in", "1 week"))
}

fn test(plan: &Plan, test: &Test) -> Map {
    let job = Map::new().with("stage", "test").with("rules", unless_by_hand()).with("needs", Yaml::List(vec![]));
    match &test.how {
        How::Stage { dockerfile, context } => engine(job)
            .with("variables", inside(plan, tls().with("DOCKERFILE", literal(dockerfile)).with("CONTEXT", literal(context))))
            .with("script", scripts(plan, &[script::TEST_STAGE])),
        How::Language { language, directory } => job
            .with("image", language.image())
            .with("variables", inside(plan, Map::new().with("TESTED", literal(directory))))
            .with("script", scripts(plan, &[&format!("cd \"$TESTED\"\n{}", language.commands())])),
        How::Typed(command) => job.with("variables", inside(plan, Map::new())).with("script", scripts(plan, &[&format!("{command}\n")])),
    }
}

/// With an engine of its own.
fn engine(job: Map) -> Map {
    job.with("image", DOCKER).with("services", vec![ENGINE])
}

fn tls() -> Map {
    Map::new().with("DOCKER_TLS_CERTDIR", "/certs")
}

/// On branches that deploy.
fn on_branches(plan: &Plan) -> Vec<Map> {
    plan.branches().iter().map(|branch| rule(pushed(branch))).collect()
}

fn login(image: &Build) -> Map {
    let variables = Map::new().with("REGISTRY", image.registry.as_str());
    if image.registry.as_str() == "registry.gitlab.com" {
        return variables.with("REGISTRY_USER", "$CI_REGISTRY_USER").with("REGISTRY_TOKEN", "$CI_REGISTRY_PASSWORD");
    }
    variables
}

fn build(plan: &Plan, image: &Build) -> Map {
    let variables = tls()
        .and(login(image))
        .with("IMAGE", literal(&image.image))
        .with("TAG", "sha-$CI_COMMIT_SHA")
        .with("BRANCH", "$CI_COMMIT_BRANCH")
        .with("CONTEXT", literal(&image.context))
        .with("DOCKERFILE", literal(&image.dockerfile))
        .with("TARGET", literal(&image.target))
        .with("BUILD_ARGS", literal(image.lines()));
    engine(Map::new().with("stage", "build").with("timeout", "1 hour").with("rules", on_branches(plan)))
        .with("variables", inside(plan, variables))
        .with("script", scripts(plan, &[script::LOGIN, script::BUILD]))
}

fn scan(plan: &Plan, image: &Build) -> Map {
    let variables = tls().and(login(image)).with("IMAGE", literal(&image.image)).with("TAG", "sha-$CI_COMMIT_SHA").with("TRIVY", TRIVY);
    engine(Map::new().with("stage", "scan").with("rules", on_branches(plan))).with("variables", variables).with(
        "script",
        Yaml::List(vec![Yaml::Block(format!(
            "set -eu\nexport TRIVY_USERNAME=\"$REGISTRY_USER\" TRIVY_PASSWORD=\"$REGISTRY_TOKEN\"\n{}",
            script::SCAN
        ))]),
    )
}

/// One job for both: what a push brings about, and what a person starts. The tag is that of the commit, or the one that was typed.
fn deploy(plan: &Plan, target: &Target, stage: Option<&Stage>) -> Map {
    let by_hand = rule(format!("{BY_HAND}\"{}\"", target.name));
    let by_hand = match plan.tagged {
        true => by_hand.with("variables", Map::new().with("TAG", "$LANDFALL_TAG")),
        false => by_hand,
    };
    let pushed = stage.map(|stage| {
        let rule = rule(pushed(stage.branch.as_str()));
        let rule = if stage.asks { rule.with("when", "manual") } else { rule };
        if plan.builds() { rule.with("variables", Map::new().with("TAG", "sha-$CI_COMMIT_SHA")) } else { rule }
    });
    let variables = Map::new()
        .with("DIR", "$CI_PROJECT_DIR/.landfall")
        .with("ENVIRONMENT", target.environment.as_ref().map_or("", |name| name.as_str()))
        .with("APPROVE", if target.approve { "yes" } else { "" })
        .with("TAG", "");
    Map::new()
        .with("stage", target.name.as_str())
        .with("timeout", "1 hour")
        .with("interruptible", false)
        .with("rules", [by_hand].into_iter().chain(pushed).collect::<Vec<_>>())
        .with("resource_group", format!("deploy-{}", target.name))
        .with("environment", Map::new().with("name", target.name.as_str()).maybe("url", target.url.as_ref().map(ToString::to_string)))
        .with("variables", inside(plan, variables))
        .with("script", scripts(plan, &[&installing(), script::SSH, script::DEPLOY, script::VERIFY]))
}

fn notify(plan: &Plan, how: &str, when: &str) -> Map {
    Map::new()
        .with("stage", "notify")
        .with("timeout", "5 minutes")
        .with("rules", on_branches(plan).into_iter().map(|rule| rule.with("when", when)).collect::<Vec<_>>())
        .with("variables", Map::new().with("MESSAGE", format!("{}: {how}, $CI_PIPELINE_URL", plan.app)).with("GIT_STRATEGY", "none"))
        .with("script", Yaml::List(vec![Yaml::Block(format!("set -eu\n{}", script::NOTIFY))]))
}
