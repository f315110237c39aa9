//! Command lines: the words, quoted again, split into the same words.
#![no_main]
use landfall_model::compose::fuzzing::words;

landfall_fuzz::fuzz!(|text: &str| {
    let Some(first) = words(text) else { return };
    let quoted: Vec<String> = first.iter().map(|w| format!("'{}'", w.replace('\'', r"'\''"))).collect();
    assert_eq!(words(&quoted.join(" ")), Some(first));
});
