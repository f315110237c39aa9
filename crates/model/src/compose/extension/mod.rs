//! The keys of `x-landfall`, as data: what each holds, what it is without it, what it does.
//!
//! The JSON Schema for editors and the commented reference are made from this table and from nothing else; a test demands that the reader knows
//! exactly these keys. Keys of `PRODUCT.md` that this version does not honour yet are in it too, and say so.

mod env;
mod reference;
mod route;
mod schema;
mod table;

pub use reference::reference;
pub use schema::schema;
pub use table::{APP, SERVICE};

/// One key of a mapping.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// As it is written; `*` for any name.
    pub name: &'static str,
    /// What it may hold; the first is the form to prefer.
    pub shapes: &'static [Shape],
    /// What holds without it.
    pub default: &'static str,
    /// What it does, in a sentence or two.
    pub about: &'static str,
    /// A value for it, as YAML in one line; empty where the keys below have their own.
    pub example: &'static str,
    /// False for a key that has no effect yet.
    pub honoured: bool,
}

/// What a value is.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Any text.
    Text,
    /// Text of this form, and an ECMA 262 expression for it.
    Pattern(&'static str, &'static str),
    /// A whole number from … to ….
    Integer(u64, u64),
    /// `true` or `false`.
    Boolean,
    /// `30s`, `1m30s`.
    Duration,
    /// `16m`, `1gb`.
    Size,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A program and its arguments: a list of texts.
    Argv,
    /// A list of such values.
    List(&'static [Shape]),
    /// A mapping with these keys.
    Map(&'static [Key]),
}

impl Key {
    /// The mapping it may hold.
    pub fn keys(&self) -> &'static [Key] {
        self.shapes.iter().find_map(|shape| shape.keys()).unwrap_or_default()
    }

    /// Whether a mapping is of no use without it.
    fn required(&self) -> bool {
        self.default == "it must be there"
    }

    /// What is said of a key that has no effect yet.
    fn later(&self) -> &'static str {
        if self.honoured { "" } else { " NOT HONOURED YET." }
    }
}

impl Shape {
    /// The keys of a mapping, or of the mappings of a list.
    fn keys(&self) -> Option<&'static [Key]> {
        match self {
            Shape::Map(keys) => Some(keys),
            Shape::List(items) => items.iter().find_map(|item| item.keys()),
            _ => None,
        }
    }

    /// In words.
    pub fn words(&self) -> String {
        match self {
            Shape::Text => "text".into(),
            Shape::Pattern(what, _) => (*what).into(),
            Shape::Integer(low, high) => format!("a whole number from {low} to {high}"),
            Shape::Boolean => "`true` or `false`".into(),
            Shape::Duration => "a duration: `30s`, `1m30s`, `1h`".into(),
            Shape::Size => "a size: `512k`, `16m`, `1gb`".into(),
            Shape::Word(words) => super::suggest::one_of(words),
            Shape::Argv => "a list: a program and its arguments".into(),
            Shape::List(_) => "a list".into(),
            Shape::Map(_) => "a mapping".into(),
        }
    }
}

#[cfg(test)]
mod tests;
