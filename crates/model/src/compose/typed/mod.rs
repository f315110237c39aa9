//! The typed view of the canonical tree: what each key holds ([`table`]), whether it can ([`decode`]), and what is printed of it ([`out`]).

pub(crate) mod decode;
pub(crate) mod number;
pub(crate) mod out;
pub(crate) mod table;
