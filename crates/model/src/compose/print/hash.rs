//! The digest by which Compose tells whether a service's container must be made anew: SHA-256 over the service as compact JSON, without what does
//! not change a container.

use super::super::model::Model;
use super::super::node::Node;
use super::super::typed::decode;
use super::super::typed::out::Language;
use super::super::typed::table::{SERVICE, Type};
use super::json;
use sha2::{Digest as _, Sha256};

/// What a container does not have.
const LEFT_OUT: [&str; 3] = ["build", "pull_policy", "scale"];

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
    let out = decode::value(&service, &Type::Struct(&SERVICE), Language::Json);
    let digest = Sha256::digest(json::compact(&out).as_bytes());
    digest.iter().map(|b| format!("{b:02x}")).collect()
}
