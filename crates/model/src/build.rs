//! How an image is built: what `build` of a Compose file says, and the words of `POST /v1/builds`.
//!
//! An image is built by the engine's own builder, here or on the server, from a directory that is sent to it. What only another builder could do is
//! not among these fields; it is complained about where it is read.

use crate::api::Failure;
use crate::name::{ImageId, ImageRef, RegistryHost};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most bytes of files that are sent to a builder.
pub const MAX_CONTEXT: u64 = 4 * 1024 * 1024 * 1024;
/// Most files.
pub const MAX_FILES: usize = 200_000;
/// Most registries of base images.
pub const MAX_REGISTRIES: usize = 32;
/// Longest description of a build, bytes. It travels as one line before the files.
pub const MAX_REQUEST: usize = 1024 * 1024;

/// `build` of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageBuild {
    /// The service has no `image`: it is named by app and service, and tagged by its content.
    pub unnamed: bool,
    /// Absolute directory whose files the builder gets.
    pub context: String,
    /// What it does with them.
    pub dockerfile: Dockerfile,
    /// The rest.
    pub recipe: Recipe,
    /// What it asks for that the builder cannot do: key and reason. Nothing is built with any of it.
    pub refused: Vec<(String, &'static str)>,
}

/// Where the instructions are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dockerfile {
    /// An absolute path, which may lie outside of the context.
    At(String),
    /// The text itself: `dockerfile_inline`.
    Text(String),
}

/// What a build is told besides its files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// Values of `ARG`. Everybody who has the image can read them, so the compiler lets no secret come here.
    pub args: BTreeMap<String, String>,
    /// The stage that is wanted; the last one when absent.
    pub target: Option<String>,
    /// Of the image.
    pub labels: BTreeMap<String, String>,
    /// Images whose layers count as built.
    pub cache_from: Vec<ImageRef>,
    /// Every step is done again.
    pub no_cache: bool,
    /// Base images are asked for at their registries again.
    pub pull: bool,
    /// Network of `RUN`: `none`, `host` or one of the engine's; the engine's usual one when absent.
    pub network: Option<String>,
    /// Bytes of `/dev/shm` during `RUN`; 0 leaves the engine's default.
    pub shm_bytes: u64,
    /// `name:address` in `/etc/hosts` during `RUN`. The engine's call has room for one.
    pub extra_host: Option<String>,
    /// What the image should run on, `linux/amd64`; the engine's own must be among them unless there is none.
    pub platforms: Vec<String>,
}

/// `POST /v1/builds`: the first line of the body; the context follows as a tar archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildRequest {
    /// What the image is to be called.
    pub name: ImageRef,
    /// Its tag is made of its content.
    pub by_content: bool,
    /// Name of the Dockerfile in the context.
    pub dockerfile: String,
    /// Where its base images are kept: the builder gets the server's logins of these and of no others.
    pub registries: Vec<RegistryHost>,
    /// The rest.
    pub recipe: Recipe,
}

/// An image that was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// What it is called on the server.
    pub reference: ImageRef,
    /// What it is.
    pub image: ImageId,
}

/// One line of the answer to `POST /v1/builds`. The last one is an end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum BuildNews {
    /// The builder wrote a line.
    Said {
        /// Without its end.
        line: String,
    },
    /// It is done.
    Done(Built),
    /// It failed.
    Failed(Failure),
}

/// `POST /v1/images/name`: an image that the server has is given a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameImage {
    /// Which image.
    pub image: ImageId,
    /// Its name.
    pub reference: ImageRef,
}

/// Answer to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The server has the image, and it is called so now.
    pub here: bool,
}

/// The name of an image by what it holds: the tag is the beginning of its digest, so the same content has the same name.
pub fn by_content(name: &ImageRef, image: &ImageId) -> ImageRef {
    let digits: String = image.as_str().chars().skip("sha256:".len()).take(12).collect();
    // Hexadecimal digits are a tag.
    digits.parse().map_or_else(|_| name.clone(), |tag| name.with_tag(&tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_has_the_same_name() {
        let image: ImageId = format!("sha256:{}", "0123456789abcdef".repeat(4)).parse().unwrap();
        assert_eq!(by_content(&"tutor-web".parse().unwrap(), &image).as_ref(), "tutor-web:0123456789ab");
    }

    #[test]
    fn a_line_of_the_answer_says_which_it_is() {
        let line = serde_json::to_string(&BuildNews::Said { line: "Step 1/2 : FROM scratch".into() }).unwrap();
        assert_eq!(line, r#"{"kind":"said","line":"Step 1/2 : FROM scratch"}"#);
    }
}
