//! What is printed, before it is YAML or JSON: values with the kinds Go gives them, and keys in Go's order.

/// Which of the two languages is printed. The trees differ in a few keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Yaml,
    Json,
}

/// A value to print.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Out {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    /// 64 bits.
    Double(f64),
    /// 32 bits; prints fewer digits.
    Single(f32),
    Text(String),
    /// A date, which YAML has a kind for.
    Time(String),
    List(Vec<Out>),
    /// In the order printed.
    Map(Vec<(String, Out)>),
}

impl Out {
    /// What Go calls a zero value: a key that holds it is left out unless it must be printed.
    pub(crate) fn is_zero(&self) -> bool {
        match self {
            Out::Null => true,
            Out::Bool(b) => !b,
            Out::Int(n) => *n == 0,
            Out::Uint(n) => *n == 0,
            Out::Double(f) => *f == 0.0,
            Out::Single(f) => *f == 0.0,
            Out::Text(t) | Out::Time(t) => t.is_empty(),
            Out::List(l) => l.is_empty(),
            Out::Map(m) => m.is_empty(),
        }
    }
}
