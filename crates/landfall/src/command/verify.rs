//! `landfall verify`: looks at an app from outside after a deploy. Needs no agent; what it finds is what everybody finds. One thing shows only inside: headers
//! that the proxy dropped. Where the agent can be asked, they are told too.

use super::Context;
use super::deploy::meant;
use crate::cli::{ListenAddress, Verify};
use crate::error::{Outcome, Plain};
use crate::verify::{Asked, Dialer, Finding, Reach, Target, Verdict, look, trusted};
use landfall_model::metrics::{Metrics, RouteTally};
use landfall_model::name::AppName;
use std::process::ExitCode;
use std::time::Duration;

/// For the agent to say what it has counted.
const INSIDE_LIMIT: Duration = Duration::from_secs(5);

/// Exits with 1 when something is not as it should be.
pub async fn run(context: &Context, args: Verify) -> Outcome<ExitCode> {
    let address = |typed: Option<ListenAddress>| typed.and_then(|address| address.0);
    let (http, https) = (address(args.http), address(args.https));
    let reach = Reach { http: http.map_or(80, |a| a.port()), https: https.map_or(443, |a| a.port()) };
    let url = args.what.as_deref().filter(|what| what.contains("://"));
    let (target, inside) = match url {
        Some(url) => (Target::at(url, reach)?, None),
        None => {
            let project = meant(context, args.what.as_deref(), args.project)?;
            let (spec, _) = project.spec(&context.printer)?;
            (Target::of(&spec, reach), Some((context.client_of_project(&project)?, spec.app)))
        }
    };
    if target.hosts.is_empty() {
        return Err(Plain::usage("nothing-to-look-at", format!("{} has no route: nothing of it is reached from outside", target.name))
            .hint("give a service `x-landfall: { routes: [/] }`")
            .into());
    }
    if let Some(path) =
        args.websockets.iter().chain(&args.streams).find(|path| !path.starts_with('/') || path.parse::<http::Uri>().is_err())
    {
        return Err(Plain::usage("bad-path", format!("`{}` is no path", path.escape_debug())).hint("it begins with `/`").into());
    }
    let roots = trusted(args.ca.as_deref().map(|path| context.settings.cwd.join(path)).as_deref())
        .map_err(|e| Plain::usage("bad-ca", "the authorities of `--ca` cannot be read").because(e))?;
    let dialer = Dialer { http, https, roots, limit: Duration::from_secs(args.timeout.into()) };
    let asked = Asked {
        websockets: args.websockets,
        streams: args.streams,
        requests: args.requests,
        concurrency: args.concurrency,
        p99: args.p99.map(|ms| Duration::from_millis(ms.into())),
    };
    let mut findings: Vec<Finding> = Vec::new();
    let mut told = Ok(());
    look(&target, &dialer, &asked, &mut |finding| {
        if told.is_ok() {
            told = context.printer.finding(&finding);
        }
        findings.push(finding);
    })
    .await;
    told?;
    if let Some((client, app)) = inside {
        // It is an aside: nothing is wrong if nobody answers.
        let metrics = tokio::time::timeout(INSIDE_LIMIT, client.metrics()).await;
        for finding in metrics.ok().and_then(Result::ok).iter().flat_map(|metrics| dropped(metrics, &app)) {
            context.printer.finding(&finding)?;
            findings.push(finding);
        }
    }
    context.printer.looked(&target.name, &findings)?;
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Failed);
    Ok(ExitCode::from(u8::from(failed)))
}

/// Routes on which headers were dropped since the proxy started.
fn dropped(metrics: &Metrics, app: &AppName) -> Vec<Finding> {
    let routes = metrics.routes.iter().filter(|route| route.app == app.as_str() && route.tally.headers_dropped > 0);
    let told = |route: &RouteTally| Finding {
        check: "dropped-headers",
        at: route.route.clone(),
        verdict: Verdict::Good,
        seen: format!("{} request headers were dropped since the proxy started", route.tally.headers_dropped),
        remedy: Some(
            "if the service needs headers with `_` in their names, list them: `underscore_headers: [NAME]`; others only the proxy may set"
                .to_owned(),
        ),
    };
    routes.map(told).collect()
}
