//! A first `x-landfall` for an existing Compose file: what to write, and the file with it written in.
//!
//! The file is a person's: nothing of it is printed anew. Text is put in at a few places, found by the spans of its keys, and the result is read
//! again: unless it is the old tree and `x-landfall`, nothing comes of it. Only what can be known is written; a guess would be believed.
//! Refused: a file that has an `x-landfall` already, several documents in one file, and what is no Compose file.

mod guess;
mod insert;
#[cfg(test)]
mod tests;

use super::node::{Node, Value};
use super::report::Report;
use super::yaml;
use crate::name::ServiceName;

/// What `landfall init` makes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The new text.
    pub text: String,
    /// Services that got routes: name, port, paths.
    pub routed: Vec<(ServiceName, u16, String)>,
    /// Variables of the contract.
    pub variables: Vec<String>,
}

/// Why nothing can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Complaints say why.
    #[error("it cannot be read")]
    Unreadable,
    /// Nothing of a person's is changed.
    #[error("it has an `x-landfall` already")]
    Already,
    /// It would not be clear which.
    #[error("it has several documents")]
    Several,
    /// There is nothing to put in production.
    #[error("it has no `services`")]
    NoServices,
    /// A form of YAML this cannot write into.
    #[error("it is written in a way that nothing can be put into without disturbing it")]
    Strange,
}

/// Puts a first `x-landfall` into the text of a Compose file.
pub fn init(text: &str) -> Result<Written, Refusal> {
    let root = read(text)?;
    let services = root.entry("services").filter(|e| !e.value.entries().is_empty()).ok_or(Refusal::NoServices)?;
    let has_one = |node: &Node| node.get("x-landfall").is_some();
    if has_one(&root) || services.value.entries().iter().any(|e| has_one(&e.value)) {
        return Err(Refusal::Already);
    }
    let routed = guess::routed(&services.value);
    let variables = guess::variables(&root);
    let text = insert::insert(text, &root, &routed, &variables).ok_or(Refusal::Strange)?;
    let mut again = read(&text).map_err(|_| Refusal::Strange)?;
    let written = take_out(&mut again);
    if !same(&root, &again) || written != routed.len() + 1 {
        return Err(Refusal::Strange);
    }
    let routed = routed.into_iter().filter_map(|r| Some((r.service.parse().ok()?, r.port, r.route))).collect();
    Ok(Written { text, routed, variables: variables.into_iter().map(|v| v.name).collect() })
}

fn read(text: &str) -> Result<Node, Refusal> {
    let mut report = Report::default();
    let file = report.add_file("compose.yaml", text.to_owned(), false);
    let mut documents = yaml::parse(text, file, &mut report).filter(|_| !report.failed()).ok_or(Refusal::Unreadable)?;
    match (documents.pop(), documents.len()) {
        (Some(document), 0) => Ok(document.root),
        (Some(_), _) => Err(Refusal::Several),
        (None, _) => Err(Refusal::NoServices),
    }
}

/// Takes every `x-landfall` out; how many there were.
fn take_out(root: &mut Node) -> usize {
    let mut found = usize::from(root.remove("x-landfall").is_some());
    if let Some(services) = root.get_mut("services").and_then(Node::entries_mut) {
        found += services.iter_mut().filter_map(|e| e.value.remove("x-landfall")).count();
    }
    found
}

/// Whether two trees say the same, wherever they say it.
fn same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Scalar(a), Value::Scalar(b)) => a.text == b.text && a.kind == b.kind,
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Value::Map(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.key == b.key && same(&a.value, &b.value)),
        _ => false,
    }
}
