//! Numbers, truth values and texts as Go reads them from a YAML value and prints them.

use super::super::node::{Kind, Node, Scalar, Value, float, integer};

/// Yes or no, as Compose reads it where a truth value is wanted.
pub(crate) fn boolean(scalar: &Scalar) -> Option<bool> {
    if !matches!(scalar.kind, Kind::Bool | Kind::Text) {
        return None;
    }
    match scalar.text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        "y" | "yes" | "on" if scalar.kind == Kind::Text => Some(true),
        "n" | "no" | "off" if scalar.kind == Kind::Text => Some(false),
        _ => None,
    }
}

/// A whole number. Fractions are cut off, as Compose does; a text must be one in decimal.
pub(crate) fn int(scalar: &Scalar) -> Option<i64> {
    match scalar.kind {
        // What is above the signed range wraps round, as Go's conversion does.
        Kind::Int => integer(&scalar.text).map(|n| n as i64),
        Kind::Float => float(&scalar.text).map(truncated),
        Kind::Text => decimal(&scalar.text),
        _ => None,
    }
}

/// A whole number from 0; texts are none.
pub(crate) fn uint(scalar: &Scalar) -> Option<u64> {
    match scalar.kind {
        Kind::Int => integer(&scalar.text).and_then(|n| u64::try_from(n).ok()),
        Kind::Float => float(&scalar.text).filter(|f| *f >= 0.0).map(|f| f as u64),
        _ => None,
    }
}

/// 32 bits of floating point.
pub(crate) fn single(scalar: &Scalar) -> Option<f32> {
    match scalar.kind {
        Kind::Int => integer(&scalar.text).map(|n| n as f32),
        // JSON knows no infinity.
        Kind::Float => float(&scalar.text).map(|f| f as f32).filter(|f| f.is_finite()),
        Kind::Text => go_float(&scalar.text).map(|f| f as f32).filter(|f| f.is_finite()),
        _ => None,
    }
}

/// `+12` and `-3` in decimal, without blanks.
pub(crate) fn decimal(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// As `strconv.ParseFloat` reads a number: decimal or, with a `p` exponent, hexadecimal. One underscore may part two digits.
pub(crate) fn go_float(text: &str) -> Option<f64> {
    let (sign, body) = match text.strip_prefix('-') {
        Some(body) => (-1.0, body),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let hex = body.starts_with("0x") || body.starts_with("0X");
    let digit = |at: usize| body.as_bytes().get(at).is_some_and(|b| if hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() });
    let parted = |(at, _): (usize, &str)| at > 0 && digit(at + 1) && (digit(at - 1) || hex && at == 2);
    if body.starts_with(['+', '-']) || !body.match_indices('_').all(parted) {
        return None;
    }
    let digits = body.replace('_', "");
    let value = if hex { hexadecimal(&digits[2..])? } else { digits.parse().ok()? };
    // Too large is an error, and `inf` is not.
    Some(sign * value).filter(|f: &f64| f.is_finite() || !digits.bytes().any(|b| b.is_ascii_digit()))
}

fn hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || digits.len() > 13 {
        return None;
    }
    let exponent = exponent.parse::<i32>().ok().filter(|e| e.abs() < 1000)?;
    Some(u64::from_str_radix(&digits, 16).ok()? as f64 * 2_f64.powi(exponent - 4 * fraction.len() as i32))
}

/// As Go converts to a whole number on the machines servers are: what does not fit is the smallest.
pub(crate) fn truncated(f: f64) -> i64 {
    if f.is_finite() && f < i64::MAX as f64 && f >= i64::MIN as f64 { f as i64 } else { i64::MIN }
}

/// As Go's `fmt.Sprint` shows a YAML value.
pub(crate) fn sprint(node: &Node) -> String {
    match &node.value {
        Value::Scalar(s) if s.kind == Kind::Null => "<nil>".to_owned(),
        Value::Scalar(s) => s.canonical(),
        Value::List(items) => format!("[{}]", items.iter().map(sprint).collect::<Vec<_>>().join(" ")),
        Value::Map(entries) => {
            let mut shown: Vec<(&str, String)> = entries.iter().map(|e| (e.key.as_str(), sprint(&e.value))).collect();
            shown.sort();
            format!("map[{}]", shown.iter().map(|(k, v)| format!("{k}:{v}")).collect::<Vec<_>>().join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        let scalar = |kind, text: &str| Scalar { text: text.into(), kind, substituted: false, spoiled: false };
        assert_eq!(int(&scalar(Kind::Float, "1.9")), Some(1));
        assert_eq!(int(&scalar(Kind::Int, "0x10")), Some(16));
        assert_eq!(int(&scalar(Kind::Text, "0x10")), None);
        assert_eq!(int(&scalar(Kind::Text, "+5")), Some(5));
        assert_eq!(uint(&scalar(Kind::Int, "-1")), None);
        assert_eq!(uint(&scalar(Kind::Text, "1")), None);
        assert_eq!(single(&scalar(Kind::Text, "0.5")), Some(0.5));
        assert_eq!(single(&scalar(Kind::Text, "1_0")), Some(10.0));
        for (text, want) in
            [("0x1_0p0", Some(16.0)), ("0x_1p-2", Some(0.25)), ("-1e3", Some(-1000.0)), ("Inf", Some(f64::INFINITY)), ("5.", Some(5.0))]
        {
            assert_eq!(go_float(text), want, "{text}");
        }
        for text in ["", "+-1", "1__0", "_1", "1_", "1_e3", "1e_3", "0x1_p0", "0x10", "1e400", "1 ", "e1"] {
            assert_eq!(go_float(text), None, "{text}");
        }
        assert_eq!(boolean(&scalar(Kind::Text, "Yes")), Some(true));
        assert_eq!(boolean(&scalar(Kind::Int, "1")), None);
        assert_eq!(truncated(1e300), i64::MIN);
    }
}
