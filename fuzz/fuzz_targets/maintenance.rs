//! Keys of a closed site: the first line is the header, the others are `Cookie` fields. Nobody comes in without the key, and the key's header goes no further.

#![no_main]

use http::{HeaderMap, HeaderValue};
use landfall_model::front::{Front, Maintenance};
use landfall_proxy::fuzzing::comes_in;
use std::sync::LazyLock;

const KEY: &str = "sesame";
static FRONT: LazyLock<Front> = LazyLock::new(|| Front {
    maintenance: Some(Maintenance { page: None, allow: Default::default(), key: Some(Maintenance::key(KEY)), retry_after_s: 1 }),
    ..Front::default()
});

landfall_fuzz::fuzz!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    let mut said = Vec::new();
    for (i, line) in data.split(|b| *b == b'\n').enumerate() {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        if i == 0 && !line.is_empty() {
            headers.append("x-maintenance-key", value);
            said.push(line.to_vec());
        } else if i > 0 {
            headers.append("cookie", value);
            let crumbs = line.split(|b| *b == b';').map(<[u8]>::trim_ascii);
            said.extend(crumbs.filter_map(|crumb| crumb.strip_prefix(b"maintenance_key=")).map(<[u8]>::to_vec));
        }
    }
    let cookies = headers.get_all("cookie").iter().count();
    let first = said.first().is_some_and(|key| key == KEY.as_bytes()) && headers.contains_key("x-maintenance-key");
    let comes = comes_in(&FRONT, "192.0.2.1".parse().expect("an address"), &mut headers);
    assert!(!comes || said.iter().any(|key| key == KEY.as_bytes()), "in without the key");
    assert!(comes || !first, "the key does not open");
    assert!(!headers.contains_key("x-maintenance-key"), "the application learns the key");
    assert_eq!(headers.get_all("cookie").iter().count(), cookies);
});
