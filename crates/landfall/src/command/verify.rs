//! `landfall verify`: looks at an app from outside after a deploy. Needs no agent; what it finds is what everybody finds.

use super::Context;
use super::deploy::meant;
use crate::cli::{ListenAddress, Verify};
use crate::error::{Outcome, Plain};
use crate::verify::{Asked, Dialer, Finding, Reach, Target, Verdict, look, trusted};
use std::process::ExitCode;
use std::time::Duration;

/// Exits with 1 when something is not as it should be.
pub async fn run(context: &Context, args: Verify) -> Outcome<ExitCode> {
    let address = |typed: Option<ListenAddress>| typed.and_then(|address| address.0);
    let (http, https) = (address(args.http), address(args.https));
    let reach = Reach { http: http.map_or(80, |a| a.port()), https: https.map_or(443, |a| a.port()) };
    let url = args.what.as_deref().filter(|what| what.contains("://"));
    let target = match url {
        Some(url) => Target::at(url, reach)?,
        None => {
            let project = meant(context, args.what.as_deref(), args.project)?;
            let (spec, _) = project.spec(&context.printer)?;
            Target::of(&spec, reach)
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
    context.printer.looked(&target.name, &findings)?;
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Failed);
    Ok(ExitCode::from(u8::from(failed)))
}
