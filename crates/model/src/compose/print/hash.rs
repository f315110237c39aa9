//! The digest by which Compose tells whether a service's container must be made anew: SHA-256 over the service as compact JSON, without what does
//! not change a container.

use super::super::model::Model;
use super::super::node::Node;
use super::super::report::Place;
use super::super::typed::decode;
use super::super::typed::number::boolean;
use super::super::typed::out::{Language, Out};
use super::super::typed::table::{SERVICE, Type};
use super::json;
use sha2::{Digest as _, Sha256};

/// What a container does not have.
const LEFT_OUT: [&str; 5] = ["build", "depends_on", "profiles", "pull_policy", "scale"];

/// Services by name, with their digest in hexadecimal.
pub(crate) fn hashes(model: &Model) -> Vec<(String, String)> {
    let all = model.root.get("services").map(Node::entries).unwrap_or_default();
    let mut hashes: Vec<(String, String)> = all.iter().map(|e| (e.key.clone(), hash(&e.value))).collect();
    hashes.sort();
    hashes
}

fn hash(service: &Node) -> String {
    let mut service = service.clone();
    LEFT_OUT.iter().for_each(|key| drop(service.remove(key)));
    if let Some(deploy) = service.get_mut("deploy") {
        deploy.remove("replicas");
    }
    let files = env_files(&service);
    // The digest is of the names of these files and not of what they hold; what came from one stands where its name does.
    let places: Vec<Place> = files.iter().map(|(path, _)| path.place).collect();
    if let Some(environment) = service.get_mut("environment").and_then(Node::entries_mut) {
        environment.retain(|e| !places.contains(&e.key_place));
    }
    let files = files.iter().map(|(path, file)| env_file(path, file)).collect();
    let out = with_env_files(decode::value(&service, &Type::Struct(&SERVICE), Language::Json), files);
    let digest = Sha256::digest(json::compact(&out).as_bytes());
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

fn env_files(service: &Node) -> Vec<(Node, Node)> {
    let items = service.get("env_file").map(Node::items).unwrap_or_default();
    items.iter().filter_map(|file| Some((file.get("path")?.clone(), file.clone()))).collect()
}

fn env_file(path: &Node, file: &Node) -> Out {
    let text = |node: &Node| Out::Text(node.scalar().map(|s| s.text.clone()).unwrap_or_default());
    if file.get("required").and_then(Node::scalar).and_then(boolean) != Some(false) {
        return text(path);
    }
    let mut out = vec![("path".to_owned(), text(path)), ("required".to_owned(), Out::Bool(false))];
    out.extend(file.get("format").map(|format| ("format".to_owned(), text(format))));
    Out::Map(out)
}

/// Puts the files where Compose's structure has them.
fn with_env_files(service: Out, files: Vec<Out>) -> Out {
    let Out::Map(mut keys) = service else { return service };
    if !files.is_empty() {
        let order = |name: &str| SERVICE.keys.iter().position(|key| key.name == name);
        let at = keys.iter().position(|(name, _)| order(name) > order("env_file")).unwrap_or(keys.len());
        keys.insert(at, ("env_file".to_owned(), Out::List(files)));
    }
    Out::Map(keys)
}
