//! What the agent of this server knows: its apps' names, certificates, logins that everybody knows, and how the disks filled.

use super::certificate;
use super::report::{Area, Check, Finding, Remedy, Severity};
use crate::client::{Channel, Client, ClientError};
use crate::settings::Home;
use landfall_model::certificate::CertificateStatus;
use landfall_model::survey::{Survey, Weakness};
use std::time::Duration;
use tokio::time::timeout;

const AGENT: Check = Check {
    id: "agent",
    area: Area::Apps,
    why: "without it nothing is released, put back or renewed; the proxy goes on with what it was told last",
};
const LOGIN: Check = Check {
    id: "default-login",
    area: Area::Apps,
    why: "the first passwords that are tried are those of documentation; one service that answers opens the way to all others",
};
const SERVED: Check = Check {
    id: "name-server",
    area: Area::Apps,
    why: "services call each other by names that the proxy answers on the bridge of their network; requests from outside do not show that they cannot",
};
/// Longest wait for the agent.
const LIMIT: Duration = Duration::from_secs(20);

/// What was heard of it.
#[derive(Debug, Clone)]
pub(super) enum Agent {
    /// This machine has none.
    Absent,
    /// It does not answer.
    Silent(String),
    /// It answers, and cannot tell what it knows: its version, and why.
    Mute(String, String),
    /// What it knows, and its version.
    Answers(String, Box<Survey>, Vec<CertificateStatus>),
}

impl Agent {
    /// What it knows beside certificates.
    pub(super) fn survey(&self) -> Option<&Survey> {
        if let Self::Answers(_, survey, _) = self { Some(survey) } else { None }
    }
}

/// Asks.
pub(super) async fn observe(home: &Home) -> Agent {
    if !home.path().join("store.db").exists() && !home.agent_socket().exists() {
        return Agent::Absent;
    }
    let client = Client::new(Channel::Here(home.clone()));
    let asked = async {
        let version = client.agent().await.map_err(|e| Agent::Silent(e.to_string()))?.version;
        // One of another version knows other questions.
        let mute = |e: ClientError| Agent::Mute(version.clone(), e.to_string());
        let (survey, certificates) = (client.survey().await.map_err(mute)?, client.certificates().await.map_err(mute)?);
        Ok(Agent::Answers(version, Box::new(survey), certificates))
    };
    match timeout(LIMIT, asked).await {
        Ok(Ok(agent) | Err(agent)) => agent,
        Err(_) => Agent::Silent(format!("it did not answer within {} s", LIMIT.as_secs())),
    }
}

/// Judges.
pub(super) fn judge(agent: &Agent, now_ms: u64) -> Vec<Finding> {
    match agent {
        Agent::Absent => vec![AGENT.found(
            Severity::Note,
            "there is no Landfall on this machine yet",
            vec![Remedy::say("make it a server (shows its plan first)").run(&["landfall", "server", "setup"])],
        )],
        Agent::Silent(why) => vec![
            AGENT.found(
                Severity::Critical,
                format!("the agent does not answer: {why}"),
                vec![Remedy::say("see why, and start it").run(&["journalctl", "-u", "landfall-agent", "-n", "50"]).run(&[
                    "systemctl",
                    "restart",
                    "landfall-agent",
                ])],
            ),
            certificate::CERTIFICATE.unchecked("the agent does not answer"),
            SERVED.unchecked("the agent does not answer"),
            LOGIN.unchecked("the agent does not answer"),
        ],
        Agent::Mute(version, why) => vec![
            AGENT.found(
                Severity::Warning,
                format!("the agent (version {version}) cannot tell what it knows: {why}"),
                vec![Remedy::say("move the server to this version: `landfall server upgrade`, where you typed this")],
            ),
            certificate::CERTIFICATE.unchecked("the agent cannot tell"),
            SERVED.unchecked("the agent cannot tell"),
            LOGIN.unchecked("the agent cannot tell"),
        ],
        Agent::Answers(version, survey, certificates) => {
            let mut findings = vec![AGENT.ok(format!("the agent answers (version {version})"))];
            findings.extend(certificate::judge(certificates, now_ms));
            findings.extend(logins(survey));
            let cut = survey.cut_off.iter().map(|cut| SERVED.found(Severity::Critical, cut.to_string(), vec![Remedy::say(cut.remedy())]));
            findings.extend(SERVED.each(cut.collect(), "containers get answers from the name server of their network"));
            findings
        }
    }
}

fn logins(survey: &Survey) -> Vec<Finding> {
    let weak = survey.logins.iter().map(|login| {
        let why = match login.weakness {
            Weakness::Placeholder => "a text that somebody meant to replace",
            Weakness::Known => "one of the passwords that everybody knows",
        };
        let name = login.variable.rsplit('/').next().unwrap_or_default();
        LOGIN.found(
            Severity::Critical,
            format!("`{}` of {}/{} is {why}", login.variable, login.app, login.service),
            vec![Remedy::say(format!(
                "set one of your own where the app and what it opens read it: `landfall secret set {name}` or the project's file of variables, and deploy; a database that exists keeps its old password until you change it there"
            ))],
        )
    });
    let unjudged = survey.unjudged.iter().map(|why| LOGIN.unchecked(why));
    LOGIN.each(weak.chain(unjudged).collect(), "no app has a login that everybody knows")
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_model::survey::{CutOff, WeakLogin};

    #[test]
    fn a_login_is_told_by_its_name_alone() {
        let login = WeakLogin {
            app: "tutor".parse().unwrap(),
            service: "db".parse().unwrap(),
            variable: "POSTGRES_PASSWORD".into(),
            weakness: Weakness::Known,
        };
        let survey = Survey { logins: vec![login], unjudged: vec!["shop: no key".into()], ..Survey::default() };
        let told = judge(&Agent::Answers("1".into(), Box::new(survey), Vec::new()), 0);
        let of = |severity| told.iter().filter(|f| f.check == "default-login" && f.severity == severity).count();
        assert_eq!((of(Severity::Critical), of(Severity::Unchecked)), (1, 1), "{told:?}");
        let well = judge(&Agent::Answers("1".into(), Box::default(), Vec::new()), 0);
        assert!(well.iter().all(|f| f.severity == Severity::Ok), "{well:?}");
    }

    #[test]
    fn an_agent_of_another_version_is_told_from_a_dead_one() {
        let told = judge(&Agent::Mute("0.0.1".into(), "404".into()), 0);
        let found: Vec<(&str, Severity)> = told.iter().map(|f| (f.check.as_str(), f.severity)).collect();
        let unchecked = ["certificate", "name-server", "default-login"].map(|check| (check, Severity::Unchecked));
        assert_eq!((found[0], &found[1..]), (("agent", Severity::Warning), &unchecked[..]));
    }

    #[test]
    fn a_network_in_which_no_name_is_answered_is_critical_and_told_with_the_rule() {
        let cut =
            CutOff { app: "shop".parse().unwrap(), gateway: [172, 18, 0, 1].into(), interface: Some("br-0a1b2c3d4e5f".parse().unwrap()) };
        let survey = Survey { cut_off: vec![cut], ..Survey::default() };
        let told = judge(&Agent::Answers("1".into(), Box::new(survey), Vec::new()), 0);
        let found = told.iter().find(|f| f.check == "name-server").unwrap();
        assert_eq!(found.severity, Severity::Critical);
        assert!(found.seen.contains("172.18.0.1:53"), "{found:?}");
        assert!(format!("{found:?}").contains("iptables -I INPUT -i br-0a1b2c3d4e5f -p udp --dport 53 -j ACCEPT"), "{found:?}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_agent_that_is_gone_is_told_from_one_that_never_was() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().to_owned()).unwrap();
        assert!(matches!(observe(&home).await, Agent::Absent));
        std::fs::write(dir.path().join("store.db"), "").unwrap();
        let agent = observe(&home).await;
        assert_eq!(judge(&agent, 0)[0].severity, Severity::Critical, "{agent:?}");
    }
}
