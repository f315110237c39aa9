//! A change to a server: what, why, how it is taken back, and the acts it consists of.

use super::wire::Proposed;

/// A step of a setup or an upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// As people read it.
    pub told: Proposed,
    /// In order. Each may be repeated: a setup that broke off is begun again.
    pub acts: Vec<Act>,
}

/// The atomic part of a change. None of them is a line for a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// A program of the system.
    Run {
        /// Program and arguments.
        argv: Vec<String>,
    },
    /// A directory of root's.
    Directory {
        /// Where.
        path: String,
        /// Permission bits.
        mode: u32,
    },
    /// A file of root's, whole or not at all.
    File {
        /// Where; directories above it are made.
        path: String,
        /// Permission bits.
        mode: u32,
        /// What is in it.
        text: String,
    },
    /// A file that everybody may read, and that stays only if a program finds it good; else what was there before is put back.
    Judged {
        /// Where; directories above it are made.
        path: String,
        /// What is in it.
        text: String,
        /// Program and arguments.
        judge: Vec<String>,
    },
    /// The binary that was brought becomes the current generation.
    Binary,
    /// A supervisor in the background, where there is no systemd.
    Supervise,
    /// The agent answers.
    AwaitAgent,
}

impl Change {
    /// `undo` says what a person types.
    pub(super) fn new(what: impl Into<String>, why: impl Into<String>, undo: impl Into<String>, acts: Vec<Act>) -> Self {
        Self { told: Proposed { what: what.into(), why: why.into(), undo: undo.into() }, acts }
    }
}

impl Act {
    /// From words without blanks in them.
    pub(super) fn run(argv: &[&str]) -> Self {
        Self::Run { argv: argv.iter().map(|word| (*word).to_owned()).collect() }
    }

    /// A file that a program judges.
    pub(super) fn judged(path: &str, text: impl Into<String>, judge: &[&str]) -> Self {
        Self::Judged { path: path.to_owned(), text: text.into(), judge: judge.iter().map(|word| (*word).to_owned()).collect() }
    }

    /// A file that everybody may read.
    pub(super) fn file(path: &str, text: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), mode: 0o644, text: text.into() }
    }
}
