//! An `x-landfall` block, at the root and at a service.
#![no_main]
landfall_fuzz::fuzz!(|text: &str| {
    let block: String = text.lines().map(|line| format!("      {line}\n")).collect();
    landfall_fuzz::Project::of(&format!("x-landfall:\n{block}services:\n  web:\n    image: web\n    x-landfall:\n{block}")).check();
});
