//! The JSON Schema of a Compose file with `x-landfall`: the official one of the Compose Specification, with our keys put in.
//!
//! Written for editors: descriptions are what a person reads while typing, and words are listed so that they can be completed. Any value may be
//! text with a variable in it, because that is what Compose files have; what becomes of it only `landfall check` can say.

use super::super::schema::DOCUMENT;
use super::{APP, Key, SERVICE, Shape};
use serde_json::{Map, Value, json};

/// The whole schema (JSON Schema draft 7).
pub fn schema() -> Value {
    // The document is part of the program; the tests read it.
    let mut root: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
    set(&mut root, "$schema", json!("http://json-schema.org/draft-07/schema#"));
    set(&mut root, "$id", json!("landfall-compose.json"));
    set(&mut root, "title", json!("Compose file with x-landfall"));
    let places = [
        ("/properties", "/definitions", "x_landfall_app", APP, "What Landfall needs to know of the app and Compose has no word for."),
        ("/definitions/service/properties", "/definitions", "x_landfall_service", SERVICE, "What Landfall needs to know of the service."),
    ];
    for (properties, definitions, name, keys, about) in places {
        let mut mapping = mapping(keys);
        set(&mut mapping, "description", json!(about));
        if let Some(definitions) = root.pointer_mut(definitions) {
            set(definitions, name, mapping);
        }
        if let Some(properties) = root.pointer_mut(properties) {
            set(properties, "x-landfall", json!({ "$ref": format!("#/definitions/{name}") }));
        }
    }
    root
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

/// A mapping with these keys, or with any name for a key.
fn mapping(keys: &[Key]) -> Value {
    if let [Key { name: "*", .. }] = keys {
        return json!({ "type": "object", "additionalProperties": keys.first().map(described) });
    }
    let properties: Map<String, Value> = keys.iter().map(|key| (key.name.to_owned(), described(key))).collect();
    let required: Vec<&str> = keys.iter().filter(|key| key.required()).map(|key| key.name).collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "patternProperties": { "^x-": {} },
        "additionalProperties": false,
    });
    if !required.is_empty() {
        set(&mut schema, "required", json!(required));
    }
    schema
}

fn described(key: &Key) -> Value {
    let mut schema = match key.shapes {
        [one] => shape(one),
        several => json!({ "anyOf": several.iter().map(shape).collect::<Vec<_>>() }),
    };
    // A rule of the contract may say nothing but that the variable must be there.
    if key.name == "*" {
        schema = json!({ "anyOf": [schema, { "type": "null" }] });
    }
    set(&mut schema, "description", json!(format!("{}{} Default: {}.", key.about, key.later(), key.default)));
    schema
}

fn shape(shape: &Shape) -> Value {
    match shape {
        Shape::Text => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Pattern(what, pattern) => json!({ "type": "string", "pattern": or_variable(pattern), "title": what }),
        Shape::Integer(low, high) => {
            json!({ "type": ["integer", "string"], "minimum": low, "maximum": high, "pattern": or_variable("^[0-9]+$") })
        }
        Shape::Boolean => json!({ "type": ["boolean", "string"], "pattern": or_variable("^([Tt]rue|TRUE|[Ff]alse|FALSE)$") }),
        Shape::Duration => json!({ "type": "string", "pattern": or_variable(r"^(0|([0-9]*\.?[0-9]+(us|ms|s|m|h|d))+)$") }),
        Shape::Size => json!({ "type": ["integer", "string"], "pattern": or_variable(r"^[0-9]*\.?[0-9]+\s*([kKmMgGtT]?[bB]?)$") }),
        Shape::Word(words) => json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": VARIABLE }] }),
        Shape::Argv => json!({ "type": "array", "minItems": 1, "items": { "type": ["string", "number", "boolean"] } }),
        Shape::List(items) => {
            let items = match items {
                [one] => self::shape(one),
                several => json!({ "anyOf": several.iter().map(self::shape).collect::<Vec<_>>() }),
            };
            json!({ "type": "array", "items": items })
        }
        Shape::Map(keys) => mapping(keys),
    }
}

/// A value with a variable in it, whose form nobody knows yet.
const VARIABLE: &str = r"\$";

fn or_variable(pattern: &str) -> String {
    format!("{pattern}|{VARIABLE}")
}
