//! What to try when a replica did not come up, by what its last lines say.

use landfall_model::container::MountedFile;
use landfall_model::spec::{Service, Template};

/// Who may read by permission bits alone: the group's and everybody's.
const OTHERS_READ: u32 = 0o044;

/// A program that gives up root cannot read what belongs to root alone: the usual end of an image that begins as root, and
/// of a secret, which is nobody else's business unless the file says so.
pub(super) fn of_log(service: &Service, log: &[String]) -> Option<String> {
    let refused = log.iter().map(|line| line.to_ascii_lowercase()).any(|line| {
        ["permission denied", "eacces", "permissionerror", "access denied", "accessdenied", "not permitted"]
            .iter()
            .any(|w| line.contains(w))
    });
    let closed: Vec<&MountedFile> = closed(&service.template);
    if !refused || closed.is_empty() {
        return None;
    }
    let named = closed.iter().find(|file| log.iter().any(|line| line.contains(&file.target)));
    let file = named.or(closed.first())?;
    let owner = match &service.template.user {
        _ if !file.of_user => format!("user {}", file.uid),
        Some(user) => format!("the container's user, `{user}`"),
        None => "the user the image names, root if it names none".to_owned(),
    };
    Some(format!(
        "{} has mode {:04o} and belongs to {owner}: a program that runs as somebody else cannot read it; in the file write \
         `secrets: [{{ source: …, uid: \"1000\" }}]` with the program's user, or `mode: 0444`",
        file.target, file.mode
    ))
}

/// Secrets and configs that only their owner can read.
fn closed(template: &Template) -> Vec<&MountedFile> {
    template.container.files.iter().filter(|file| file.mode & OTHERS_READ == 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_model::container::{Container, Content};
    use landfall_model::spec::{Gate, Limits, LogPolicy, Probe, Program, Restart, UpdateOrder};

    fn service(mode: u32, of_user: bool) -> Service {
        let file = MountedFile { target: "/run/secrets/key".into(), content: Content::new("x"), of_user, uid: 7, gid: 7, mode };
        Service {
            template: Template {
                program: Program::Executable { path: "/x".into(), sha256: None },
                entrypoint: None,
                command: None,
                environment: Default::default(),
                working_dir: None,
                user: None,
                mounts: Vec::new(),
                networks: Default::default(),
                ports: Vec::new(),
                labels: Default::default(),
                restart: Restart::No,
                stop_signal: None,
                stop_grace_ms: 0,
                healthcheck: None,
                limits: Limits::default(),
                log: LogPolicy::default(),
                init: false,
                read_only: false,
                shm_bytes: 0,
                container: Container { files: vec![file], ..Container::default() },
            },
            replicas: 1,
            job: false,
            depends_on: Default::default(),
            port: None,
            protocol: Default::default(),
            routes: Vec::new(),
            gate: Gate { probe: Probe::Stays { for_ms: 1 }, deadline_ms: 1 },
            order: UpdateOrder::StartFirst,
            migrate: None,
            drain_ms: 0,
            aliases: Default::default(),
        }
    }

    #[test]
    fn a_program_that_may_not_read_is_told_which_file_and_what_to_write() {
        for line in [
            "cat: /run/secrets/key: Permission denied",
            "Error: EACCES: permission denied, open '/run/secrets/key'",
            "PermissionError: [Errno 13] Permission denied: '/run/secrets/key'",
            "java.nio.file.AccessDeniedException: /run/secrets/key",
        ] {
            let hint = of_log(&service(0o600, true), &[line.to_owned()]).unwrap();
            assert!(hint.starts_with("/run/secrets/key has mode 0600") && hint.contains("`mode: 0444`"), "{hint}");
        }
        let named = of_log(&service(0o400, false), &["permission denied".to_owned()]).unwrap();
        assert!(named.contains("belongs to user 7"), "{named}");
        assert_eq!(of_log(&service(0o444, true), &["permission denied".to_owned()]), None, "everybody may read it");
        assert_eq!(of_log(&service(0o600, true), &["connection refused".to_owned()]), None);
    }
}
