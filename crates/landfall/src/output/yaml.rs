//! JSON values as YAML, in block style: what `landfall config` prints.
//!
//! Strings are quoted whenever a YAML reader (1.1 or 1.2) might take them for something else; JSON's own quoting is valid YAML, so there is
//! no second set of escapes here.

use serde_json::Value;

/// A whole document.
pub fn render(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => block(value, 0, &mut text),
        Value::Array(list) if !list.is_empty() => block(value, 0, &mut text),
        _ => {
            text.push_str(&scalar(value));
            text.push('\n');
        }
    }
    text
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => false,
    }
}

/// A non-empty collection, each line indented by `indent`. The reader bounds nesting at 64, so recursion is bounded too.
fn block(value: &Value, indent: usize, text: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                text.push_str(&format!("{pad}{}:", string(key)));
                entry(value, indent + 2, text);
            }
        }
        Value::Array(list) => {
            for value in list {
                text.push_str(&format!("{pad}-"));
                if is_block(value) {
                    // The first line of the item follows its dash.
                    let mut item = String::new();
                    block(value, indent + 2, &mut item);
                    text.push(' ');
                    text.push_str(item.trim_start());
                } else {
                    entry(value, indent + 2, text);
                }
            }
        }
        other => text.push_str(&scalar(other)),
    }
}

fn entry(value: &Value, indent: usize, text: &mut String) {
    if is_block(value) {
        text.push('\n');
        block(value, indent, text);
    } else {
        text.push(' ');
        text.push_str(&scalar(value));
        text.push('\n');
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        other => other.to_string(),
    }
}

/// Words that some YAML reader takes for a boolean or null (YAML 1.1 types `bool` and `null`).
const RESERVED: [&str; 12] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "~", ".inf", ".nan"];

fn string(text: &str) -> String {
    let plain_first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '.' | '_' | '$'));
    let plain_rest = text.chars().all(|c| c.is_ascii_alphanumeric() || " _-./:@+=$()~".contains(c));
    let reserved = RESERVED.contains(&text.to_ascii_lowercase().as_str());
    let number = text.starts_with('.') && text.chars().nth(1).is_some_and(|c| c.is_ascii_digit());
    if plain_first && plain_rest && !reserved && !number && !text.contains(": ") && !text.ends_with([' ', ':']) {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn collections_are_blocks_and_doubtful_strings_are_quoted() {
        let value = json!({
            "name": "tutor",
            "services": { "web": { "image": "nginx:1.27", "ports": [{ "target": 80, "published": "8080" }], "command": ["a", "no", ""], "labels": {} } },
            "x": [[1, 2], []],
            "b": "a: b", "c": "#x", "d": "line\nbreak", "e": "yes", "f": "1.5", "g": "${A}", "h": "-v", "i": true, "j": null,
        });
        let text = render(&value);
        assert_eq!(
            text,
            "b: \"a: b\"\nc: \"#x\"\nd: \"line\\nbreak\"\ne: \"yes\"\nf: \"1.5\"\ng: \"${A}\"\nh: \"-v\"\ni: true\nj: null\nname: tutor\nservices:\n  web:\n    command:\n      - a\n      - \"no\"\n      - \"\"\n    image: nginx:1.27\n    labels: {}\n    ports:\n      - published: \"8080\"\n        target: 80\nx:\n  - - 1\n    - 2\n  - []\n"
        );
    }
}
