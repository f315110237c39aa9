//! What a project may read: the files of its repository and none besides, unless whoever runs the command allows it.
//!
//! The author of a Compose file may be a stranger, and the machine that reads it holds keys. Files are read through [`Files`], which refuses those outside;
//! directories that are sent to a builder are looked at here.

use super::Files;
use super::paths::is_remote;
use super::report::Report;
use super::service::ServiceFile;
use crate::build::Dockerfile;
use crate::name::ServiceName;
use std::collections::BTreeMap;

/// The complaint about a file outside.
pub(crate) const CODE: &str = "outside-repository";
/// What to do about it.
pub(crate) const HINT: &str = "copy it into the repository; if you trust this project, pass `--allow-outside`";

/// Complains about build contexts and Dockerfiles that lie outside.
pub(crate) fn check(services: &BTreeMap<ServiceName, ServiceFile>, reader: &dyn Files, report: &mut Report) {
    for build in services.values().filter_map(|service| service.build.as_ref()) {
        let context = Some(&build.build.context).filter(|context| !is_remote(context));
        let file = match &build.build.dockerfile {
            Dockerfile::At(path) if context.is_some() => Some(path),
            _ => None,
        };
        for (what, path) in [("build context", context), ("Dockerfile", file)] {
            if path.is_some_and(|path| reader.is_outside(path)) {
                report
                    .error(CODE, build.place, format!("the {what} lies outside of the repository, and would be sent to the builder"))
                    .hint(HINT);
                break;
            }
        }
    }
}
