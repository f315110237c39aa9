//! The fake's server: everything that exists, and what a script wants to happen next.

use crate::fake::FakeRuntime;
use crate::fake::act::Act;
use crate::{Launch, LogEntry, MAX_LOG_LINE, Owners};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfall_model::name::{AppName, ImageId, ImageRef, NetworkName, ReplicaId, ServiceName, VolumeName};
use landfall_model::observed::ReplicaState;
use landfall_model::spec::Restart;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// Calls that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// `ping` and `observe`: the engine is down.
    Observe,
    /// `pull`; about the image.
    Pull,
    /// `ensure_network`; about the key.
    EnsureNetwork,
    /// `ensure_volume`; about the key.
    EnsureVolume,
    /// `start`; about the replica or its service.
    Start,
    /// `start_again`; about the replica or its service.
    StartAgain,
    /// `wait`; about the replica or its service.
    Wait,
    /// `stop`; about the replica or its service.
    Stop,
    /// `remove`; about the replica or its service.
    Remove,
    /// `exec`; about the replica or its service.
    Exec,
}

impl FakeRuntime {
    /// Says who made networks and volumes that are there already.
    pub fn set_owners(&self, owners: Owners) {
        self.change(|w| w.owners = owners);
    }
}

/// A replica that exists.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) launch: Launch,
    pub(crate) state: ReplicaState,
    pub(crate) address: IpAddr,
    pub(crate) restarts: u32,
    pub(crate) started_ms: u64,
    /// How often its program was begun.
    pub(crate) runs: u32,
    pub(crate) log: Vec<LogEntry>,
    pub(crate) listens: BTreeSet<u16>,
}

/// Where the fake keeps what its programs write to volume `data`.
pub(crate) type Key = (AppName, ReplicaId);

#[derive(Debug, Default)]
pub(crate) struct World {
    /// Who made what was there before.
    pub(crate) owners: Owners,
    pub(crate) now_ms: u64,
    pub(crate) replicas: BTreeMap<Key, Made>,
    pub(crate) networks: BTreeSet<(AppName, NetworkName)>,
    pub(crate) volumes: BTreeSet<(AppName, VolumeName)>,
    pub(crate) contents: BTreeMap<AppName, String>,
    pub(crate) here: BTreeMap<ImageRef, ImageId>,
    pub(crate) files: BTreeMap<(ImageId, String), Vec<u8>>,
    pub(crate) addresses: BTreeMap<ServiceName, IpAddr>,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) registry: BTreeMap<ImageRef, Option<ImageId>>,
    pub(crate) acts: BTreeMap<ServiceName, Act>,
    pub(crate) unhealthy: BTreeSet<String>,
    pub(crate) failures: Vec<(Call, String, String)>,
    pub(crate) journal: Vec<String>,
    pub(crate) busy_ports: BTreeSet<u16>,
    pub(crate) made: u32,
}

impl World {
    /// The reason a script wants this call to fail, once.
    pub(crate) fn failure(&mut self, call: Call, about: &[&str]) -> Option<String> {
        let wanted = |(c, a, _): &(Call, String, String)| *c == call && (a.is_empty() || about.contains(&a.as_str()));
        let i = self.failures.iter().position(wanted)?;
        Some(self.failures.remove(i).2)
    }

    /// 10.0.0.1, 10.0.0.2, … in the order of making.
    pub(crate) fn next_address(&mut self) -> IpAddr {
        self.made += 1;
        let [_, b, c, d] = self.made.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(10, b, c, d))
    }

    pub(crate) fn act(&self, launch: &Launch) -> Act {
        self.acts.get(&launch.service).cloned().unwrap_or_else(|| Act::of_template(&launch.template, launch.argv.as_deref()))
    }

    /// Plays the beginning of a program, again and again while it crashes and its policy says so.
    pub(crate) fn begin(&mut self, key: &Key) {
        loop {
            let Some(made) = self.replicas.get_mut(key) else { return };
            made.runs += 1;
            made.state = ReplicaState::Running;
            made.started_ms = self.now_ms;
            let launch = made.launch.clone();
            let act = self.act(&launch);
            let Some(code) = self.play(key, &act) else { return };
            if !self.ended(key, code) {
                return;
            }
        }
    }

    /// A program ended by itself. True: it is started again.
    pub(crate) fn ended(&mut self, key: &Key, code: i32) -> bool {
        let Some(made) = self.replicas.get_mut(key) else { return false };
        made.listens.clear();
        let again = !made.launch.job
            && match made.launch.template.restart {
                Restart::No => false,
                Restart::Always | Restart::UnlessStopped => true,
                Restart::OnFailure { max } => code != 0 && (max == 0 || made.restarts < max),
            };
        if !again {
            made.state = ReplicaState::Exited { code, out_of_memory: false };
            return false;
        }
        made.restarts += 1;
        // A program that only ever crashes is found waiting for its next start, as with a real engine.
        made.state = ReplicaState::Restarting { code };
        made.restarts < 3
    }

    /// What a program does at its start; its code if it ends.
    fn play(&mut self, key: &Key, act: &Act) -> Option<i32> {
        let runs = self.replicas.get(key).map_or(0, |m| m.runs);
        match act {
            Act::Stay | Act::Polite { .. } | Act::Stubborn | Act::Echo => None,
            Act::Exit { code } => Some(i32::from(*code)),
            Act::Say { out, err } => {
                out.iter().for_each(|line| self.say(key, false, line));
                self.say(key, true, err);
                None
            }
            Act::CrashOnce => (runs == 1).then_some(1),
            Act::Listen { port } => {
                self.replicas.get_mut(key)?.listens.insert(*port);
                None
            }
            Act::Parent => {
                self.say(key, false, "0");
                None
            }
            _ => {
                let (out, err, code) = self.answer(key, act);
                out.lines().for_each(|line| self.say(key, false, line));
                err.lines().for_each(|line| self.say(key, true, line));
                Some(code)
            }
        }
    }

    /// Output, error output and code of an act that ends.
    pub(crate) fn answer(&mut self, key: &Key, act: &Act) -> (String, String, i32) {
        match act {
            Act::Answer { out, err, code } => (out.clone(), err.clone(), i32::from(*code)),
            Act::Exit { code } => (String::new(), String::new(), i32::from(*code)),
            Act::Show { arguments, variables } => {
                let values = variables.iter().map(|name| self.value(key, name));
                let lines = arguments.iter().cloned().chain(values).map(|text| STANDARD.encode(text) + "\n");
                (lines.collect(), String::new(), 0)
            }
            Act::Keep { text } => {
                self.contents.insert(key.0.clone(), text.clone());
                Default::default()
            }
            Act::Recall => {
                self.contents.get(&key.0).map_or((String::new(), String::new(), 1), |text| (format!("{text}\n"), String::new(), 0))
            }
            _ => Default::default(),
        }
    }

    fn value(&self, key: &Key, name: &str) -> String {
        let Some(made) = self.replicas.get(key) else { return String::new() };
        let find = |map: &BTreeMap<landfall_model::name::EnvKey, landfall_model::spec::EnvValue>| {
            map.iter().find(|(k, _)| k.as_str() == name).map(|(_, v)| v.reveal().to_owned())
        };
        find(&made.launch.template.environment).or_else(|| find(&made.launch.environment)).unwrap_or_default()
    }

    pub(crate) fn say(&mut self, key: &Key, stderr: bool, line: &str) {
        let at_ms = self.now_ms;
        let end = (0..=MAX_LOG_LINE.min(line.len())).rev().find(|i| line.is_char_boundary(*i)).unwrap_or(0);
        if let Some(made) = self.replicas.get_mut(key) {
            made.log.push(LogEntry { at_ms, stderr, line: line.get(..end).unwrap_or_default().to_owned(), partial: false });
        }
    }
}
