//! Where the agent keeps what it keeps. All under one directory that only its user can read.

use std::path::{Path, PathBuf};

/// The home of a server's agent; an agent somebody runs for himself has another.
pub const SYSTEM_HOME: &str = "/var/lib/landfall";

/// The home directory of one agent.
#[derive(Debug, Clone)]
pub struct Home(PathBuf);

impl Home {
    /// Names a home; `create` makes it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Makes the directories with mode 700.
    pub fn create(&self) -> std::io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        for dir in [self.0.clone(), self.0.join("run"), self.certs(), self.0.join("logs"), self.given_up()] {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        Ok(())
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }
    /// SQLite: releases, rollouts, steps, events.
    pub fn store(&self) -> PathBuf {
        self.0.join("store.db")
    }
    /// Held for as long as an agent runs.
    pub fn lock(&self) -> PathBuf {
        self.0.join("agent.lock")
    }
    /// The agent's API.
    pub fn agent_socket(&self) -> PathBuf {
        self.0.join("run/agent.sock")
    }
    /// The proxy's control socket.
    pub fn proxy_socket(&self) -> PathBuf {
        self.0.join("run/proxy.sock")
    }
    /// What the server's owner lets apps do to it. Written by the owner alone, read by the agent.
    pub fn grants(&self) -> PathBuf {
        self.0.join("grants.yaml")
    }
    /// Files of sites that the proxy serves.
    pub fn folders(&self) -> PathBuf {
        self.0.join("folders")
    }
    /// The local authority and the certificates it signed.
    pub fn certs(&self) -> PathBuf {
        self.0.join("certs")
    }
    /// Public keys of tokens, as they were last found.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }
    /// Layers of images that clients send, until they are whole.
    pub fn uploads(&self) -> PathBuf {
        self.0.join("uploads")
    }
    /// An empty file for each rollout that was given up while the store could not be written. Made early: a full disk has no room for a directory.
    pub fn given_up(&self) -> PathBuf {
        self.0.join("given-up")
    }
    /// What secrets in the store are sealed with.
    pub fn secret_key(&self) -> PathBuf {
        self.0.join("secret.key")
    }
}
