//! What an agent knows that `landfall server doctor` judges: `GET /v1/survey`. No value of a secret is in it.

use crate::name::{AppName, ServiceName};
use serde::{Deserialize, Serialize};

/// Answer to a survey.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Names that current releases are served by.
    pub domains: Vec<Served>,
    /// Logins of current releases that everybody knows.
    pub logins: Vec<WeakLogin>,
    /// Apps whose values could not all be judged, with the reason.
    pub unjudged: Vec<String>,
    /// Directories of projects on this machine, where files of variables may lie.
    pub projects: Vec<String>,
    /// How full disks were, the oldest first.
    pub disks: Vec<DiskSample>,
}

/// A name of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Whose.
    pub app: AppName,
    /// `tutor.example.com`
    pub domain: String,
}

/// A variable whose value anybody would try first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeakLogin {
    /// Of which app.
    pub app: AppName,
    /// Which service gets it.
    pub service: ServiceName,
    /// Name of the variable, or path of the file; its value is nobody's business.
    pub variable: String,
    /// Why it is weak.
    pub weakness: Weakness,
}

/// Why a value protects nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weakness {
    /// Somebody meant to replace it.
    Placeholder,
    /// It stands in documentation or in everybody's list of passwords.
    Known,
}

/// How full a disk was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSample {
    /// Milliseconds since 1970 UTC.
    pub at_ms: u64,
    /// Where it is mounted.
    pub mount: String,
    /// Bytes in use.
    pub used: u64,
    /// Inodes in use.
    pub inodes: u64,
}
