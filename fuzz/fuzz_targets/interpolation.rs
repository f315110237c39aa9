//! Interpolation: a text whose dollar signs are doubled comes out as it was; others come out bounded.
#![no_main]
use landfall_model::compose::fuzzing::interpolate;
use std::collections::BTreeMap;

landfall_fuzz::fuzz!(|text: &str| {
    let variables =
        BTreeMap::from([("A".to_owned(), "one".to_owned()), ("B".to_owned(), String::new()), ("C".to_owned(), "$A ${B".to_owned())]);
    if let Some(out) = interpolate(text, &variables) {
        assert!(out.len() <= 1024 * 1024);
    }
    assert_eq!(interpolate(&text.replace('$', "$$"), &variables).as_deref(), Some(text));
});
