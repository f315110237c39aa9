//! Every name: what is accepted is printed as it was written and accepted again.
#![no_main]
use landfall_model::name::{AppName, EnvKey, ImageRef, NetworkName, ServiceName, VolumeName};
use landfall_model::server::ServerAddress;
use std::fmt::Display;
use std::str::FromStr;

fn again<T: FromStr + Display + PartialEq + std::fmt::Debug>(text: &str) {
    if let Ok(name) = text.parse::<T>() {
        let printed = name.to_string();
        assert_eq!(printed.parse::<T>().ok().as_ref(), Some(&name));
        assert!(!printed.is_empty() && printed.len() <= 4096 && !printed.contains(['\0', '\n', ' ']));
    }
}

landfall_fuzz::fuzz!(|text: &str| {
    again::<AppName>(text);
    again::<ServiceName>(text);
    again::<NetworkName>(text);
    again::<VolumeName>(text);
    again::<EnvKey>(text);
    again::<ImageRef>(text);
    again::<ServerAddress>(text);
});
