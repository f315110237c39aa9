//! What an agent knows that `landfall server doctor` judges: `GET /v1/survey`. No value of a secret is in it.

use crate::name::{AppName, InterfaceName, ServiceName};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

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
    /// Networks in which no name is answered.
    #[serde(default)]
    pub cut_off: Vec<CutOff>,
}

/// A network whose containers get no answer from its name server, which is the proxy at the gateway's port 53.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutOff {
    /// Whose containers.
    pub app: AppName,
    /// Where they ask.
    pub gateway: IpAddr,
    /// The bridge they come by.
    pub interface: Option<InterfaceName>,
}

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "containers of {} get no answer from the name server at {}:53", self.app, self.gateway)?;
        f.write_str(": this machine's firewall drops what they ask, or another program has that port; no service finds another")
    }
}

impl CutOff {
    /// The rule to add, in the words of each tool.
    pub fn remedy(&self) -> String {
        let bridge = self.interface.as_ref().map_or("br-+", InterfaceName::as_str);
        let nft = self.interface.as_ref().map_or("br-*", InterfaceName::as_str);
        format!(
            "let containers ask: `ufw allow in on {bridge} to any port 53`, or without ufw `iptables -I INPUT -i {bridge} -p udp --dport 53 -j ACCEPT` and \
             the same with `-p tcp`; in nftables `iifname \"{nft}\" meta l4proto {{ tcp, udp }} th dport 53 accept` in the chain of the hook input, before \
             what drops. `br-+` (nftables: `\"br-*\"`) stands for the bridges of all apps"
        )
    }
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
