//! `landfall certs`: which certificates are served, until when, and what keeps a better one from being issued.

use super::Context;
use crate::cli::Certs;
use crate::client::Client;
use crate::error::{Outcome, Plain, Problem};
use landfall_model::certificate::{CertificateStatus, RenewRequest, Renewing};
use landfall_model::name::CertificateName;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a renewal is waited for; the agent goes on with it all the same.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(300);

/// Lists them, or has some issued and tells how that went. A name that was asked for in vain makes a renewal fail; a list never fails for it.
pub async fn run(context: &Context, args: Certs) -> Outcome<ExitCode> {
    let client = context.client();
    if args.renew {
        return renew(context, &client, args.names).await;
    }
    let mut certs = client.certificates().await?;
    if let Some(stranger) = args.names.iter().find(|name| !certs.iter().any(|c| c.name == name.as_str())) {
        let plain = Plain::failed("no-certificate", format!("no app here has a certificate for {stranger}"));
        return Err(plain.hint("`landfall certs` lists the names").into());
    }
    certs.retain(|c| args.names.is_empty() || args.names.iter().any(|name| c.name == name.as_str()));
    show(context, &certs)?;
    Ok(ExitCode::SUCCESS)
}

fn show(context: &Context, certs: &[CertificateStatus]) -> Outcome {
    if context.printer.is_json() {
        context.printer.json(&certs)
    } else if certs.is_empty() {
        context.printer.line("no app here is served by HTTPS")
    } else {
        context.printer.certificates(certs, super::status::now_ms())
    }
}

async fn renew(context: &Context, client: &Client, names: Vec<CertificateName>) -> Outcome<ExitCode> {
    let renewing = client.renew(&RenewRequest { names }).await?;
    if renewing.names.is_empty() {
        let plain = Plain::failed("no-certificate", "no app here wants a certificate from an authority");
        return Err(plain.hint("give one a public name: `x-landfall: { domains: [tutor.example.com] }`").into());
    }
    let began = Instant::now();
    let certs = loop {
        let certs = client.certificates().await?;
        let mut asked: Vec<CertificateStatus> = certs.into_iter().filter(|c| renewing.names.iter().any(|n| n.as_str() == c.name)).collect();
        // What waits for its turn, or for an authority that wants to be left alone, is not waited for here.
        let open = |c: &CertificateStatus| !is_done(c, &renewing) && (c.asking || c.next_ms.is_some_and(|next| next <= renewing.since_ms));
        if !asked.iter().any(open) || began.elapsed() > PATIENCE {
            asked.sort_by(|a, b| a.name.cmp(&b.name));
            break asked;
        }
        sleep(LOOK).await;
    };
    show(context, &certs)?;
    match certs.iter().find_map(|c| c.failure.clone().filter(|_| c.failed_ms.is_some_and(|at| at >= renewing.since_ms))) {
        Some(failure) => Err(Problem::from(crate::client::ClientError::Refused(Box::new(failure)))),
        None if certs.iter().all(|c| is_done(c, &renewing)) => Ok(ExitCode::SUCCESS),
        None => {
            let plain = Plain::failed("not-yet", "not every name could be asked for now");
            Err(plain.hint("an authority that wants to be left alone is asked again by itself; `landfall certs` says when").into())
        }
    }
}

/// It was issued, or asked for in vain, since it was wanted.
fn is_done(cert: &CertificateStatus, renewing: &Renewing) -> bool {
    !cert.asking && cert.asked_ms.is_some_and(|at| at >= renewing.since_ms)
}
