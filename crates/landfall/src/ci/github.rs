//! The pipeline in GitHub's words.
//!
//! One action alone is used, for what a command cannot do as well; it is named by its commit. Everything else is a command. Each job has the rights it
//! needs and no others, a limit of time, and secrets only in the steps that use them. `pull_request_target`, under which a stranger's
//! code would run with the project's secrets, is never used; a pull request gets as far as the tests.

use super::plan::{Build, How, Plan, Stage, Target, Test};
use super::script;
use super::yaml::{Map, Yaml};

/// Looked up on 2026-11-21 in public workflows, which agree: the commit of tag v6.0.2 of actions/checkout.
const CHECKOUT: &str = "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd";
const CHECKOUT_VERSION: &str = "v6.0.2";
/// Likewise: the index of 0.69.3 for all processors.
pub const TRIVY: &str = "aquasec/trivy:0.69.3@sha256:bcc376de8d77cfe086a917230e818dc9f8528e3c852f7b1aff648949b6258d1c";
/// A version, so that a new one does not come overnight.
const RUNNER: &str = "ubuntu-24.04";
/// `pipefail`, and unset variables are errors.
const SHELL: &str = "bash -euo pipefail {0}";

/// Uploads what `landfall check` found. A repository without code scanning refuses it, and is told so in the log that everybody reads.
const UPLOAD: &str = r#"jq --null-input --arg ref "$GITHUB_REF" --arg sha "$GITHUB_SHA" --rawfile sarif <(gzip --stdout landfall.sarif | base64 --wrap 0) \
  '{ commit_sha: $sha, ref: $ref, sarif: $sarif, tool_name: "landfall" }' |
  gh api --method POST "repos/$GITHUB_REPOSITORY/code-scanning/sarifs" --input - ||
  echo "::warning::this repository takes no code scanning results"
"#;

/// Annotations for a person come from the text, the file is for the upload.
const CHECK: &str = r#"landfall check --format sarif > landfall.sarif || true
landfall check
"#;

/// Every push to a branch that deploys, and every pull request to one.
pub fn release(plan: &Plan) -> String {
    let branches = Map::new().with("branches", plan.branches());
    let mut jobs = Map::new().with("check", check());
    let (mut before, mut all) = (vec!["check".to_owned()], vec!["check".to_owned()]);
    for (index, test) in plan.tests.iter().enumerate() {
        let id = if plan.tests.len() == 1 { "test".to_owned() } else { format!("test-{}", index + 1) };
        jobs = jobs.with(id.clone(), self::test(test));
        before.push(id.clone());
        all.push(id);
    }
    if plan.builds() {
        jobs = jobs.with("build", build(plan, &before));
        before = vec!["build".to_owned()];
        all.push("build".to_owned());
    }
    let first = before;
    let mut last: Option<&Stage> = None;
    for stage in &plan.stages {
        // On one branch the next waits for the one before it; on branches of their own neither knows the other.
        let needs = match last {
            Some(last) if last.branch == stage.branch => vec![last.target.name.to_string()],
            _ => first.clone(),
        };
        jobs = jobs.with(stage.target.name.as_str(), deploy(plan, stage, &needs));
        all.push(stage.target.name.to_string());
        last = Some(stage);
    }
    jobs = jobs.with("notify", notify(plan, &all));
    let on = Map::new().with("push", branches.clone()).with("pull_request", branches);
    let concurrency = Map::new()
        .with("group", "${{ github.workflow }}-${{ github.ref }}")
        .with("cancel-in-progress", "${{ github.event_name == 'pull_request' }}");
    workflow(plan, plan.app.as_str(), on).with("concurrency", concurrency).with("jobs", jobs).document(&heading(plan))
}

/// A deploy by hand: which environment, and the tag of which images.
pub fn manual(plan: &Plan) -> String {
    let names: Vec<String> = plan.manual.iter().map(|target| target.name.to_string()).collect();
    let choice = Map::new().with("description", "Where to").with("type", "choice").with("required", true).with("options", names);
    let tag = Map::new()
        .with("description", "Tag of the images, such as sha-… of a commit or main")
        .with("type", "string")
        .with("required", true);
    let inputs = Map::new().with("environment", choice).maybe("tag", plan.tagged.then_some(tag));
    let mut jobs = Map::new();
    for target in &plan.manual {
        let only = format!("inputs.environment == '{}'", target.name);
        jobs = jobs.with(target.name.as_str(), deploying(target, plan.tagged.then_some("${{ inputs.tag }}"), |job| job.with("if", only)));
    }
    let on = Map::new().with("workflow_dispatch", Map::new().with("inputs", inputs));
    workflow(plan, &format!("{} by hand", plan.app), on).with("jobs", jobs).document(&heading(plan))
}

fn heading(plan: &Plan) -> String {
    format!(
        "Written by `landfall ci github` {}. To change it, change the Compose file or the options and write it anew;\nwhat it wants to be set is in docs/guides/ci.md of Landfall.",
        plan.tool.version
    )
}

fn workflow(plan: &Plan, name: &str, on: Map) -> Map {
    let run = Map::new().with("shell", SHELL).maybe("working-directory", plan.directory.as_ref().map(ToString::to_string));
    let tool = Map::new().with("LANDFALL_URL", plan.tool.url.to_string()).with("LANDFALL_SHA256", plan.tool.sha256.to_string());
    Map::new()
        .with("name", name)
        .with("on", on)
        .with("permissions", Map::new().with("contents", "read"))
        .with("env", tool)
        .because("The landfall that the jobs run; only this very file is taken.")
        .with("defaults", Map::new().with("run", run))
}

fn job(name: &str, minutes: u32) -> Map {
    Map::new().with("name", name).with("runs-on", RUNNER).with("timeout-minutes", minutes)
}

fn reads() -> Map {
    Map::new().with("contents", "read")
}

fn checkout() -> Map {
    Map::new().with("uses", CHECKOUT).noted(CHECKOUT_VERSION).with("with", Map::new().with("persist-credentials", false))
}

fn run(name: &str, env: Map, script: &str) -> Map {
    let env = (!env.is_empty()).then_some(env);
    Map::new().with("name", name).maybe("env", env).with("run", Yaml::Block(script.to_owned()))
}

fn install() -> Map {
    run(
        "Install Landfall",
        Map::new().with("DIR", "${{ github.workspace }}/.landfall"),
        &format!("{}echo \"$DIR\" >> \"$GITHUB_PATH\"\n", script::INSTALL),
    )
}

fn check() -> Map {
    job("Check the Compose file", 10).with("permissions", reads().with("security-events", "write")).with(
        "steps",
        vec![
            checkout(),
            install(),
            run("landfall check", Map::new(), CHECK),
            // A pull request from outside may not write, whatever this file says.
            Map::new()
                .with(
                    "if",
                    "always() && (github.event_name == 'push' || github.event.pull_request.head.repo.full_name == github.repository)",
                )
                .and(run("Show it with the code", Map::new().with("GH_TOKEN", "${{ github.token }}"), UPLOAD)),
        ],
    )
}

fn test(test: &Test) -> Map {
    let step = match &test.how {
        How::Stage { dockerfile, context } => run(
            "Build the stage `test`",
            Map::new().with("DOCKERFILE", dockerfile.to_string()).with("CONTEXT", context.to_string()),
            script::TEST_STAGE,
        ),
        How::Language { language, directory } => {
            run("Test", Map::new().with("DIRECTORY", directory.to_string()), &format!("cd \"$DIRECTORY\"\n{}", language.commands()))
        }
        How::Typed(command) => run("Test", Map::new(), &format!("{command}\n")),
    };
    job(&format!("Test {}", test.name), 30).with("permissions", reads()).with("steps", vec![checkout(), step])
}

fn build(plan: &Plan, needs: &[String]) -> Map {
    let of = |image: &Build| {
        Map::new()
            .with("service", image.service.as_str())
            .with("image", image.image.to_string())
            .with("registry", image.registry.as_str())
            .with("context", image.context.to_string())
            .with("dockerfile", image.dockerfile.to_string())
            .with("target", image.target.to_string())
            .with("args", image.lines())
    };
    let matrix = Map::new().with("include", plan.images.iter().map(of).collect::<Vec<_>>());
    let ghcr = plan.registries().iter().any(|registry| registry.as_str() == "ghcr.io");
    // What the file gives no value for is a variable of the repository.
    let mut env = Map::new();
    for arg in plan.images.iter().flat_map(|image| &image.args).filter(|arg| arg.value.is_none()) {
        env = env.with_once(arg.key.as_str(), format!("${{{{ vars.{} }}}}", arg.key));
    }
    let env = env
        .with("IMAGE", "${{ matrix.image }}")
        .with("CONTEXT", "${{ matrix.context }}")
        .with("DOCKERFILE", "${{ matrix.dockerfile }}")
        .with("TARGET", "${{ matrix.target }}")
        .with("BUILD_ARGS", "${{ matrix.args }}")
        .with("BRANCH", "${{ github.ref_name }}");
    let user = "${{ matrix.registry == 'ghcr.io' && github.actor || vars.REGISTRY_USER }}";
    let token = "${{ matrix.registry == 'ghcr.io' && github.token || secrets.REGISTRY_TOKEN }}";
    let login = Map::new().with("REGISTRY", "${{ matrix.registry }}").with("REGISTRY_USER", user).with("REGISTRY_TOKEN", token);
    let scan =
        Map::new().with("IMAGE", "${{ matrix.image }}").with("TRIVY", TRIVY).with("TRIVY_USERNAME", user).with("TRIVY_PASSWORD", token);
    let rights = reads().maybe("packages", ghcr.then_some("write"));
    job("Build ${{ matrix.service }}", 60)
        .with("needs", needs.to_vec())
        .with("if", "github.event_name == 'push'")
        .with("permissions", rights)
        .with("strategy", Map::new().with("matrix", matrix))
        .with("env", Map::new().with("TAG", "sha-${{ github.sha }}"))
        .with(
            "steps",
            vec![
                checkout(),
                run("Log in to the registry", login, script::LOGIN),
                run("Build and push", env, script::BUILD),
                run("Look for known holes", scan, script::SCAN),
            ],
        )
}

fn deploy(plan: &Plan, stage: &Stage, needs: &[String]) -> Map {
    let only = format!("github.event_name == 'push' && github.ref == 'refs/heads/{}'", stage.branch);
    let tag = plan.builds().then_some("sha-${{ github.sha }}");
    deploying(&stage.target, tag, |job| job.with("needs", needs.to_vec()).with("if", only))
}

/// A job that deploys and looks. The approval is GitHub's: who has to agree is set with the environment of this name.
fn deploying(target: &Target, tag: Option<&str>, when: impl FnOnce(Map) -> Map) -> Map {
    let name = target.environment.as_ref().map_or_else(String::new, ToString::to_string);
    let environment = Map::new().with("name", target.name.as_str()).maybe("url", target.url.as_ref().map(ToString::to_string));
    let server = target.environment.is_none().then_some("${{ vars.LANDFALL_SERVER }}");
    let with = Map::new()
        .with("ENVIRONMENT", name.clone())
        .with("APPROVE", if target.approve { "yes" } else { "" })
        .with("TAG", tag.unwrap_or_default())
        .maybe("LANDFALL_SERVER", server);
    let keys = Map::new()
        .with("LANDFALL_SSH_KEY", "${{ secrets.LANDFALL_SSH_KEY }}")
        .with("LANDFALL_KNOWN_HOSTS", "${{ vars.LANDFALL_KNOWN_HOSTS }}");
    when(job(&format!("Deploy to {}", target.name), 60))
        .with("permissions", reads())
        .with("environment", environment)
        // One deploy after the other, and none is broken off.
        .with("concurrency", Map::new().with("group", format!("deploy-{}", target.name)).with("cancel-in-progress", false))
        .with(
            "steps",
            vec![
                checkout(),
                install(),
                run("Give `ssh` its keys", keys, script::SSH),
                run("landfall deploy", with, script::DEPLOY),
                run("landfall verify", Map::new().with("ENVIRONMENT", name), script::VERIFY),
            ],
        )
}

fn notify(plan: &Plan, needs: &[String]) -> Map {
    let message = format!(
        "{}: ${{{{ contains(needs.*.result, 'failure') && 'failed' || contains(needs.*.result, 'cancelled') && 'cancelled' || 'done' }}}}, ${{{{ github.server_url }}}}/${{{{ github.repository }}}}/actions/runs/${{{{ github.run_id }}}}",
        plan.app
    );
    let env = Map::new().with("MESSAGE", message).with("LANDFALL_WEBHOOK", "${{ secrets.LANDFALL_WEBHOOK }}");
    let mut step = run("Tell the chat", env, script::NOTIFY);
    // This job checks nothing out, so there is no directory to work in.
    if plan.directory.is_some() {
        step = step.with("working-directory", "${{ github.workspace }}");
    }
    job("Tell how it went", 5)
        .with("needs", needs.to_vec())
        .with("if", "always() && github.event_name == 'push'")
        .with("permissions", Map::new())
        .with("steps", vec![step])
}
