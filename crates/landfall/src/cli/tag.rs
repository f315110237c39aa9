//! `--tag TAG` and `--tag SERVICE=TAG`.

use landfall_model::name::{ImageTag, NameError, ServiceName};
use std::str::FromStr;

/// Which tag, of which images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagChoice {
    /// Of this service; of every image whose tag the file leaves open when absent.
    pub service: Option<ServiceName>,
    /// The tag.
    pub tag: ImageTag,
}

impl FromStr for TagChoice {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (service, tag) = match text.split_once('=') {
            Some((service, tag)) => (Some(service.parse()?), tag),
            None => (None, text),
        };
        Ok(Self { service, tag: tag.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_for_all_or_for_one_service() {
        let choice = |text: &str| text.parse::<TagChoice>().map(|c| (c.service.map(|s| s.to_string()), c.tag.to_string()));
        assert_eq!(choice("v2").unwrap(), (None, "v2".into()));
        assert_eq!(choice("web=v2").unwrap(), (Some("web".into()), "v2".into()));
        for hostile in ["", "=", "web=", "=v2", "-v", "a b", "a:b", "$(id)", "web=a/b", "a\n"] {
            assert!(choice(hostile).is_err(), "{hostile:?}");
        }
    }
}
