//! The JSON Schema as data: only the keywords the official document uses, and anything else is an error.
//!
//! Unknown keywords are refused when the document is read, and a test reads it, so a newer document cannot bring a rule that is quietly not
//! enforced. Patterns are a closed set for the same reason; none needs a regular-expression engine.

use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// One schema of the document.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Schema {
    #[serde(rename = "type")]
    pub(crate) types: Option<Types>,
    pub(crate) properties: BTreeMap<String, Schema>,
    pub(crate) pattern_properties: BTreeMap<Pattern, Schema>,
    /// `Some(false)`: no other keys. The document gives no schema here.
    pub(crate) additional_properties: Option<bool>,
    pub(crate) required: Vec<String>,
    pub(crate) items: Option<Box<Schema>>,
    pub(crate) unique_items: bool,
    pub(crate) one_of: Vec<Schema>,
    #[serde(rename = "enum")]
    pub(crate) words: Vec<String>,
    pub(crate) minimum: Option<f64>,
    pub(crate) maximum: Option<f64>,
    /// What a text must hold somewhere; other values pass.
    pub(crate) pattern: Option<Contained>,
    #[serde(rename = "$ref")]
    pub(crate) reference: Option<Reference>,
    pub(crate) definitions: BTreeMap<String, Schema>,
    // What follows is for people, not for checking.
    title: Option<IgnoredAny>,
    description: Option<IgnoredAny>,
    deprecated: Option<IgnoredAny>,
    default: Option<IgnoredAny>,
    #[serde(rename = "$schema")]
    dialect: Option<IgnoredAny>,
    #[serde(rename = "$id")]
    id: Option<IgnoredAny>,
}

/// `type`: one word or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Types {
    One(Type),
    Any(Vec<Type>),
}

impl Types {
    pub(crate) fn as_slice(&self) -> &[Type] {
        match self {
            Types::One(one) => std::slice::from_ref(one),
            Types::Any(any) => any,
        }
    }
}

/// A type of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Type {
    String,
    Number,
    Integer,
    Boolean,
    Object,
    Array,
    Null,
}

impl Type {
    /// For "wants …".
    pub(crate) fn wanted(self) -> &'static str {
        match self {
            Type::String => "a string",
            Type::Number => "a number",
            Type::Integer => "a whole number",
            Type::Boolean => "true or false",
            Type::Object => "a mapping",
            Type::Array => "a list",
            Type::Null => "nothing",
        }
    }
}

/// A pattern of keys. As in Compose's own checker, `.` is anything but a line break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) enum Pattern {
    #[serde(rename = "^x-")]
    Extension,
    #[serde(rename = "^[a-zA-Z0-9._-]+$")]
    Name,
    #[serde(rename = "^[a-z]+$")]
    Word,
    #[serde(rename = "^.+$")]
    Line,
    #[serde(rename = ".+")]
    Something,
}

impl Pattern {
    pub(crate) fn matches(self, key: &str) -> bool {
        match self {
            Pattern::Extension => key.starts_with("x-"),
            Pattern::Name => !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')),
            Pattern::Word => !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase()),
            Pattern::Line => !key.is_empty() && !key.contains('\n'),
            Pattern::Something => key.chars().any(|c| c != '\n'),
        }
    }
}

/// A pattern of values. Neither is anchored, so both ask for a piece that may stand anywhere in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Contained {
    #[serde(rename = "[a-zA-Z0-9][a-zA-Z0-9_.-]+")]
    ContainerName,
    #[serde(rename = "always|never|build|if_not_present|missing|refresh|daily|weekly|every_([0-9]+[wdhms])+")]
    PullPolicy,
}

impl Contained {
    pub(crate) fn is_in(self, text: &str) -> bool {
        match self {
            Contained::ContainerName => text.as_bytes().windows(2).any(|pair| {
                matches!(pair, [first, second] if first.is_ascii_alphanumeric()
                    && (second.is_ascii_alphanumeric() || matches!(second, b'_' | b'.' | b'-')))
            }),
            Contained::PullPolicy => PULL_POLICIES.iter().any(|word| text.contains(word)) || text.split("every_").skip(1).any(is_span),
        }
    }

    /// For "wants …": what the whole text should be, which is more than the pattern asks.
    pub(crate) fn wanted(self) -> String {
        match self {
            Contained::ContainerName => "a letter or digit, and then letters, digits, `_`, `.` and `-`".to_owned(),
            Contained::PullPolicy => {
                let words: Vec<String> = PULL_POLICIES.iter().map(|word| format!("`{word}`")).collect();
                format!("{} or `every_` and a time such as `every_12h`", words.join(", "))
            }
        }
    }
}

const PULL_POLICIES: [&str; 8] = ["always", "never", "build", "if_not_present", "missing", "refresh", "daily", "weekly"];

/// Begins with a number and a unit of time, such as `2w`.
fn is_span(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < text.len() && unit.starts_with(['w', 'd', 'h', 'm', 's'])
}

/// The name of a definition, from `#/definitions/<name>`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Reference(pub(crate) String);

impl TryFrom<String> for Reference {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.strip_prefix("#/definitions/").map(|name| Self(name.to_owned())).ok_or("a reference outside `#/definitions/`")
    }
}

impl Schema {
    /// True when it may hold a mapping with keys of its own.
    pub(crate) fn has_keys(&self) -> bool {
        !self.properties.is_empty()
    }

    /// The schema of a key, and whether the key is one of `properties`.
    pub(crate) fn of_key(&self, key: &str) -> Option<&Schema> {
        self.properties.get(key).or_else(|| self.pattern_properties.iter().find(|(p, _)| p.matches(key)).map(|(_, s)| s))
    }
}
