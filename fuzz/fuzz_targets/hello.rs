//! The first words between a command line and a server: read alike however they arrive, written and read again the same, and never more than their bound.

#![no_main]

use landfall_model::hello::{Caller, Hello, MAGIC, MAX_HELLO};

landfall_fuzz::fuzz!(|bytes: &[u8]| {
    let whole = Hello::decode(bytes);
    let first = (0..=bytes.len()).map(|end| Hello::decode(&bytes[..end])).find(|read| *read != Ok(None));
    match (&whole, first) {
        (Ok(None), first) => assert_eq!(first, None),
        (whole, first) => assert_eq!(first.as_ref(), Some(whole), "how it arrives decides what is read"),
    }
    if let Ok(Some((hello, used))) = &whole {
        assert!(*used <= MAGIC.len() + 4 + MAX_HELLO && *used <= bytes.len());
        let written = hello.encode();
        let (again, all) = Hello::decode(&written).expect("what is written is read").expect("all of it is there");
        assert!(all == written.len() && again.protocol == hello.protocol && again.versions.api == hello.versions.api);
        assert!(hello.versions.version.starts_with(&again.versions.version));
    }
    if bytes.len() > MAGIC.len() + 4 + MAX_HELLO {
        assert_ne!(whole, Ok(None), "it is waited for more than there may be");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(caller) = Caller::parse(text) {
        let line = caller.line();
        assert!(line.ends_with('\n') && line.trim_end_matches('\n').lines().count() == 1);
        assert_eq!(Caller::parse(line.trim_end_matches('\n')), Some(caller.clone()));
        let said = caller.to_string();
        assert!(said.is_ascii() && said.len() < 256 && !said.chars().any(char::is_control), "{said:?} reaches terminals");
    }
});
