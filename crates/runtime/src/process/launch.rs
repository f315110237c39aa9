//! From a [`Launch`] to the record of a replica, or the reason why a process cannot be that.

use crate::process::program::{self, Command};
use crate::process::record::{Record, private_dir};
use crate::process::volume;
use crate::{Launch, RuntimeError, signal};
use landfall_model::spec::{EnvValue, MountSource, Restart};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What a program gets of the agent's own environment.
const INHERITED: [&str; 6] = ["PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR"];

/// Checks and completes a launch. Copies the program to `programs` and makes directories in `volumes`.
pub(crate) fn record(launch: &Launch, programs: &Path, volumes: &Path) -> Result<Record, RuntimeError> {
    let template = &launch.template;
    let failed = |reason: String| RuntimeError::failed(format!("start `{}`", launch.id), reason);
    if let Some(user) = template.user.as_ref().filter(|u| !is_current_user(u)) {
        return Err(failed(format!("`user: {user}` is not the user Landfall runs as, and the process runtime cannot change it")));
    }
    if let Some(signal) = template.stop_signal.as_deref().filter(|s| signal::parse(s).is_none()) {
        return Err(failed(format!("`stop_signal: {signal}` is no signal a process can be sent")));
    }
    private_dir(programs).map_err(|e| failed(format!("{}: {e}", programs.display())))?;
    let environment = environment(launch, volumes)?;
    let Command { program, argv } = program::resolve(launch, &environment, programs)?;
    let working_dir = program::working_dir(launch);
    if !working_dir.is_dir() {
        let place = working_dir.display();
        return Err(failed(format!(
            "its working directory {place} is not on this machine, where its program must be: `working_dir` says where"
        )));
    }
    Ok(Record {
        app: launch.app.clone(),
        id: launch.id.clone(),
        service: launch.service.clone(),
        release: launch.release,
        revision: launch.revision.clone(),
        job: launch.job,
        port: launch.port,
        program,
        argv,
        environment,
        sealed: String::new(),
        working_dir,
        restart: if launch.job { Restart::No } else { template.restart },
        stop_signal: template.stop_signal.clone().unwrap_or_else(|| "SIGTERM".into()),
        stop_grace_ms: template.stop_grace_ms,
        log: template.log,
        notes: notes(launch),
    })
}

/// A command with the environment and working directory of a replica.
pub(crate) fn beside(record: &Record, argv: &[String]) -> Result<tokio::process::Command, RuntimeError> {
    let Some(name) = argv.first().filter(|n| !n.is_empty()) else {
        return Err(RuntimeError::NoProgram { program: String::new(), reason: "the command is empty".into() });
    };
    let mut command = tokio::process::Command::new(program::find(name, &record.working_dir, &record.environment)?);
    command.arg0(name).args(argv.iter().skip(1)).current_dir(&record.working_dir);
    command.env_clear().envs(record.environment.iter().map(|(k, v)| (k, v.reveal())));
    Ok(command)
}

/// The agent's few, then what the launch adds, then what the file says, then what only the server can know: the port and the volumes.
fn environment(launch: &Launch, volumes: &Path) -> Result<BTreeMap<String, EnvValue>, RuntimeError> {
    let inherited = INHERITED.iter().filter_map(|key| Some((String::from(*key), EnvValue::new(std::env::var(key).ok()?))));
    let mut environment: BTreeMap<String, EnvValue> = inherited.collect();
    let given = launch.environment.iter().chain(&launch.template.environment);
    environment.extend(given.map(|(k, v)| (k.to_string(), v.clone())));
    if let Some((key, _)) = environment.iter().find(|(_, v)| v.reveal().contains('\0')) {
        return Err(RuntimeError::failed(format!("start `{}`", launch.id), format!("the value of {key} holds a zero byte")));
    }
    if let Some(port) = launch.port {
        // Over the file's own: two replicas cannot share the port it names, and the proxy asks at this one.
        environment.insert("PORT".into(), EnvValue::new(port.to_string()));
    }
    for mount in &launch.template.mounts {
        if let MountSource::Volume { name, .. } = &mount.source
            && let Some(of) = launch.volumes.get(name)
        {
            let dir = volume::ensure(volumes, &launch.app, name, of)?;
            environment.insert(volume::variable(name), EnvValue::new(dir.to_string_lossy()));
        }
    }
    Ok(environment)
}

/// What the file asks for and a process does not get; said where its user will look.
fn notes(launch: &Launch) -> Vec<String> {
    let template = &launch.template;
    let mut notes = Vec::new();
    for mount in &template.mounts {
        match &mount.source {
            // Told by its variable.
            MountSource::Volume { .. } => {}
            MountSource::Bind { path, .. } if *path != mount.target => {
                notes.push(format!("{path} is not mounted at {}: a process sees the host's files", mount.target))
            }
            MountSource::Bind { .. } => {}
            MountSource::Anonymous { .. } | MountSource::Tmpfs { .. } => {
                notes.push(format!("nothing is mounted at {}: a process sees the host's files", mount.target))
            }
        }
    }
    if template.limits != landfall_model::spec::Limits::default() {
        notes.push("limits of memory, processor and processes are not enforced under `runtime: process`".into());
    }
    notes
}

/// `name`, `uid`, `name:group` or `uid:gid` of the user this process runs as.
fn is_current_user(user: &str) -> bool {
    let name = user.split(':').next().unwrap_or(user);
    let own = rustix::process::getuid().as_raw();
    if let Ok(uid) = name.parse::<u32>() {
        return uid == own;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .any(|fields| fields.first() == Some(&name) && fields.get(2).and_then(|f| f.parse().ok()) == Some(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_user_is_known_by_number_and_by_name_and_nobody_else_is() {
        let own = rustix::process::getuid().as_raw();
        assert!(is_current_user(&own.to_string()));
        assert!(is_current_user(&format!("{own}:0")));
        assert!(!is_current_user(&(own + 1).to_string()));
        assert!(!is_current_user("no-such-user"));
        assert_eq!(is_current_user("root"), own == 0);
    }
}
