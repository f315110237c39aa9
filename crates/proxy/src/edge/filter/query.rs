//! One parameter of a query: found, and cut out.

use http::uri::PathAndQuery;

/// The value of the first parameter of this name, as it is written.
pub(super) fn value<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find(|pair| is_named(pair, name)).and_then(|pair| pair.split_once('=')).map(|(_, value)| value)
}

/// The target without every parameter of this name; nothing if it has none.
pub(super) fn without(target: &PathAndQuery, name: &str) -> Option<PathAndQuery> {
    let query = target.query()?;
    if !query.split('&').any(|pair| is_named(pair, name)) {
        return None;
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_named(pair, name)).collect();
    let path = target.path();
    let text = if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) };
    PathAndQuery::try_from(text).ok()
}

/// However it is written: an application decodes names before it compares them.
fn is_named(pair: &str, name: &str) -> bool {
    let key = pair.split('=').next().unwrap_or_default();
    if !key.contains(['%', '+']) {
        return key == name;
    }
    let mut bytes = key.bytes();
    let mut decoded = Vec::with_capacity(key.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut rest = bytes.clone();
                let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
                match (digit(rest.next()), digit(rest.next())) {
                    (Some(high), Some(low)) => {
                        bytes = rest;
                        u8::try_from(high * 16 + low).unwrap_or(byte)
                    }
                    _ => byte,
                }
            }
            other => other,
        });
    }
    decoded == name.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_and_cut_out_however_it_is_written() {
        assert_eq!(value("a=1&token=x.y.z&b", "token"), Some("x.y.z"));
        assert_eq!(value("mytoken=1&tokens=2&token", "token"), None);
        let without = |text: &str| without(&PathAndQuery::try_from(text).unwrap(), "token").map(|t| t.to_string());
        assert_eq!(without("/ws?token=x").as_deref(), Some("/ws"));
        assert_eq!(without("/ws?a=1&token=x&b=2&token=y").as_deref(), Some("/ws?a=1&b=2"));
        assert_eq!(without("/ws?%74oken=x&%zz=1").as_deref(), Some("/ws?%zz=1"));
        assert_eq!(without("/ws?tok%65n").as_deref(), Some("/ws"));
        assert_eq!(without("/ws?atoken=x"), None);
        assert_eq!(without("/token"), None);
    }
}
