//! Values of secrets that a program on this machine says: `x-landfall.env.NAME.from: [op, read, "op://vault/item"]`.
//!
//! The program is an argument vector and never a line of a shell. It has no standard input, its complaints go to the terminal, and it has half a
//! minute and a megabyte.

use crate::error::{Outcome, Plain};
use landfall_model::name::SecretName;
use landfall_model::secret::{MAX_VALUE, SecretValue};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

/// How long one may take: somebody may have to touch a key.
const LIMIT: Duration = Duration::from_secs(30);

/// Asks every program, one after the other: several may want to ask a person.
pub async fn ask(dir: &Path, sources: &BTreeMap<SecretName, Vec<String>>) -> Outcome<BTreeMap<SecretName, SecretValue>> {
    let mut values = BTreeMap::new();
    for (name, argv) in sources {
        values.insert(name.clone(), one(dir, name, argv).await?);
    }
    Ok(values)
}

async fn one(dir: &Path, name: &SecretName, argv: &[String]) -> Outcome<SecretValue> {
    let (program, arguments) =
        argv.split_first().ok_or_else(|| Plain::usage("no-program", format!("`from` of {name} names no program")))?;
    let failed = |what: String| Plain::failed("secret-source", format!("the value of {name} cannot be had: {what}"));
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child =
        command.spawn().map_err(|e| failed(format!("`{program}` cannot be started")).because(e).hint("is it installed and in PATH?"))?;
    let stdout = child.stdout.take();
    let mut bytes = Vec::new();
    let said = async {
        if let Some(stdout) = stdout {
            stdout.take(MAX_VALUE as u64 + 2).read_to_end(&mut bytes).await?;
        }
        child.wait().await
    };
    let status = tokio::time::timeout(LIMIT, said)
        .await
        .map_err(|_| failed(format!("`{program}` did not end within {} s", LIMIT.as_secs())))?
        .map_err(|e| failed(format!("`{program}` cannot be read")).because(e))?;
    if !status.success() {
        return Err(failed(format!("`{program}` ended with {status}")).hint("run it yourself to see why; are you signed in?").into());
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    if bytes.is_empty() || bytes.len() > MAX_VALUE {
        return Err(failed(format!("`{program}` said {}", if bytes.is_empty() { "nothing" } else { "too much" })).into());
    }
    Ok(SecretValue::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(argv: &[&str]) -> Result<Vec<u8>, String> {
        let argv: Vec<String> = argv.iter().map(|a| (*a).to_owned()).collect();
        let value = one(Path::new("/"), &"S".parse().unwrap(), &argv).await;
        value.map(|v| v.reveal().to_vec()).map_err(|e| e.failure().message)
    }

    #[tokio::test]
    async fn a_program_says_a_value_and_no_shell_reads_it() {
        assert_eq!(said(&["printf", "%s\\n", "$(id);`id`"]).await.unwrap(), b"$(id);`id`");
        assert!(said(&["false"]).await.unwrap_err().contains("exit status: 1"));
        assert!(said(&["true"]).await.unwrap_err().contains("nothing"));
        assert!(said(&["/no/such/program"]).await.unwrap_err().contains("cannot be started"));
        assert!(said(&["head", "-c", "2000000", "/dev/zero"]).await.is_err());
    }
}
