//! Files of variables: what was read, written in single quotes, is read again as the same.
#![no_main]
use landfall_model::compose::fuzzing::dotenv;

landfall_fuzz::fuzz!(|text: &str| {
    dotenv(text, true);
    let Some(entries) = dotenv(text, false) else { return };
    if entries.iter().any(|(_, value)| value.contains(['\'', '\\', '\r'])) {
        return;
    }
    let written: String = entries.iter().map(|(name, value)| format!("{name}='{value}'\n")).collect();
    assert_eq!(dotenv(&written, false), Some(entries));
});
