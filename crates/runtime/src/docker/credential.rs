//! Credentials for registries, from the file `docker login` writes (`~/.docker/config.json`, or under `DOCKER_CONFIG`).
//!
//! What `landfall registry login` keeps comes before it. Read at every pull, held no longer than it, never logged. Credential stores and helpers, which would mean running another program, are
//! not supported yet; `docker login` on a server writes to the file unless one of them is configured.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use landfall_model::name::RegistryHost;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;

/// Largest configuration read.
const MAX_FILE: u64 = 1024 * 1024;

/// Under what Docker's own registry stands in the file.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    /// Base64 of `user:password`.
    auth: Option<String>,
    identitytoken: Option<String>,
}

/// The credentials for a registry, if there are any.
pub(crate) fn credentials(registry: &RegistryHost) -> Option<DockerCredentials> {
    let dir =
        std::env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")))?;
    let mut text = String::new();
    std::fs::File::open(dir.join("config.json")).ok()?.take(MAX_FILE).read_to_string(&mut text).ok()?;
    choose(&text, registry)
}

fn choose(config: &str, registry: &RegistryHost) -> Option<DockerCredentials> {
    let config: Config = serde_json::from_str(config).ok()?;
    let registry = if registry.as_str() == "docker.io" { DOCKER_HUB } else { registry.as_str() };
    let bare = |key: &str| key.trim_start_matches("https://").trim_start_matches("http://").split('/').next().map(str::to_owned);
    let (server, auth) = config.auths.iter().find(|(key, _)| *key == registry || bare(key).as_deref() == Some(registry))?;
    let decoded = String::from_utf8(STANDARD.decode(auth.auth.as_deref().unwrap_or_default()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':').unwrap_or_default();
    Some(DockerCredentials {
        username: Some(user.to_owned()),
        password: Some(password.to_owned()),
        identitytoken: auth.identitytoken.clone().filter(|t| !t.is_empty()),
        serveraddress: Some(server.clone()),
        ..DockerCredentials::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{ "auths": {
        "https://index.docker.io/v1/": { "auth": "aHViOnMzYw==" },
        "ghcr.io": { "auth": "YWNtZTpwYTpzcw==" },
        "https://registry.example.com/v2/": { "auth": "eDp5" },
        "kept-elsewhere.example.com": {}
    } }"#;

    fn found(image: &str) -> Option<(String, String)> {
        choose(CONFIG, &image.parse::<landfall_model::name::ImageRef>().unwrap().registry())
            .map(|c| (c.username.unwrap(), c.password.unwrap()))
    }

    #[test]
    fn each_registry_gets_its_own_credentials_and_no_other_gets_any() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(found("postgres:15"), pair("hub", "s3c"));
        assert_eq!(found("acme/app"), pair("hub", "s3c"));
        assert_eq!(found("ghcr.io/acme/app:main"), pair("acme", "pa:ss"));
        assert_eq!(found("registry.example.com/app"), pair("x", "y"));
        assert_eq!(found("evil.example.com/ghcr.io/app"), None);
        assert!(choose("not json", &"docker.io".parse().unwrap()).is_none());
    }
}
