//! What a made-up program does: a short vocabulary that the fake plays and that real kits turn into scripts.

use landfall_model::spec::{Program, Template};
use serde::{Deserialize, Serialize};

/// The first word of a command the fake understands; the second is an [`Act`] as JSON.
pub const ACT: &str = "act";

/// What a program does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Act {
    /// Runs until it is asked to stop, then ends with 0. What every command does that is no act.
    #[default]
    Stay,
    /// Asked to stop, writes the line and ends with the code.
    Polite {
        /// Its last words.
        line: String,
        /// Its code.
        code: u8,
    },
    /// Takes no notice of being asked to stop.
    Stubborn,
    /// Ends at once.
    Exit {
        /// With this code.
        code: u8,
    },
    /// Writes lines to standard output and one to standard error, then stays.
    Say {
        /// In this order.
        out: Vec<String>,
        /// To standard error.
        err: String,
    },
    /// Writes `out` to standard output and `err` to standard error, and ends with the code.
    Answer {
        /// To standard output.
        out: String,
        /// To standard error.
        err: String,
        /// Its code.
        code: u8,
    },
    /// Ends with 1 the first time and stays the second time. Keeps count in the volume `data`.
    CrashOnce,
    /// Writes its arguments and then the values of the variables, each in Base64 on a line of its own, and ends with 0.
    Show {
        /// Its arguments.
        arguments: Vec<String>,
        /// Names of variables.
        variables: Vec<String>,
    },
    /// Listens on a TCP port of every address.
    Listen {
        /// Which.
        port: u16,
    },
    /// Writes a file in the volume `data` and ends with 0.
    Keep {
        /// Its content.
        text: String,
    },
    /// Writes that file's content to standard output and ends with 0, or with 1 if there is none.
    Recall,
    /// Writes what it reads from standard input to standard output, until the end of it.
    Echo,
    /// Starts a child that outlives it unless somebody kills its process group, writes the child's process id, and stays.
    Parent,
}

impl Act {
    /// The act a command asks for.
    pub fn of(argv: &[String]) -> Self {
        match argv {
            [word, act, ..] if word == ACT => serde_json::from_str(act).unwrap_or_default(),
            _ => Self::Stay,
        }
    }

    /// The act of a template, or of `argv` in its place.
    pub fn of_template(template: &Template, argv: Option<&[String]>) -> Self {
        if let Some(argv) = argv {
            return Self::of(argv);
        }
        let program = match &template.program {
            Program::Executable { path, .. } => Some(path.clone()),
            Program::Image { .. } => None,
        };
        let words =
            program.into_iter().chain(template.entrypoint.iter().flatten().cloned()).chain(template.command.iter().flatten().cloned());
        Self::of(&words.collect::<Vec<_>>())
    }

    /// The command that asks the fake for it.
    pub fn command(&self) -> Vec<String> {
        vec![ACT.to_owned(), serde_json::to_string(self).unwrap_or_default()]
    }
}
