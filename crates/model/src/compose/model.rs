//! The resolved project: what Docker Compose would work with.

use super::interpolate::Variables;
use super::node::{Entry, Node};

/// A project after every stage of layer A.
pub(crate) struct Model {
    /// The app's name.
    pub(crate) name: String,
    /// The canonical tree, with the enabled services only.
    pub(crate) root: Node,
    /// Services of profiles that were not chosen.
    pub(crate) disabled: Vec<Entry>,
    /// The variables put in.
    pub(crate) variables: Variables,
}
