//! Keys of the contract of the environment, and of named environments.

use super::table::DOMAIN;
use super::{Key, Shape};
use Shape::{Argv, Boolean, Integer, List, Map, Pattern, Text};

pub(super) const ENV: &[Key] = &[Key {
    name: "*",
    shapes: &[Map(ENV_RULE)],
    default: "required, any value",
    about: "A variable, by its name.",
    example: "",
    honoured: true,
}];

const ENV_RULE: &[Key] = &[
    Key {
        name: "secret",
        shapes: &[Boolean],
        default: "false",
        about: "Its value lives on the server, encrypted, and is never shown: `landfall secret set NAME`. One that is set here is brought along. It must not be a placeholder such as `changeme`.",
        example: "true",
        honoured: true,
    },
    Key { name: "min_length", shapes: &[Integer(0, 100_000)], default: "0", about: "Fewest characters.", example: "6", honoured: true },
    Key {
        name: "one_of",
        shapes: &[List(&[Text])],
        default: "any value",
        about: "The values it may have.",
        example: "[google, openai, anthropic]",
        honoured: true,
    },
    Key {
        name: "default",
        shapes: &[Text],
        default: "none",
        about: "The value it has when nobody sets it, also for `${…}` in this file.",
        example: "google",
        honoured: true,
    },
    Key {
        name: "from",
        shapes: &[Argv],
        default: "none",
        about: "A program of the machine that deploys, which writes the value of a secret to its standard output. No shell reads the words.",
        example: "[op, read, \"op://vault/tutor/jwt\"]",
        honoured: true,
    },
    Key {
        name: "required",
        shapes: &[Boolean],
        default: "true, unless `required_if` is there",
        about: "Whether it must be set.",
        example: "true",
        honoured: true,
    },
    Key {
        name: "required_if",
        shapes: &[Pattern("`NAME=value`", r"^[A-Za-z_][A-Za-z0-9_]*=.*$")],
        default: "none",
        about: "It must be set when that variable has that value.",
        example: "\"MODE=production\"",
        honoured: true,
    },
];

pub(super) const ENVIRONMENTS: &[Key] = &[Key {
    name: "*",
    shapes: &[Map(&[
        Key {
            name: "server",
            shapes: &[Text],
            default: "this machine",
            about: "The server it is deployed to.",
            example: "\"ssh://deploy@staging.example.com\"",
            honoured: true,
        },
        Key {
            name: "domains",
            shapes: &[List(&[DOMAIN])],
            default: "those of the app",
            about: "Names it is reached by.",
            example: "[staging.tutor.example.com]",
            honoured: true,
        },
        Key {
            name: "values",
            shapes: &[Map(VALUES)],
            default: "none",
            about: "Variables for `${…}` in this file. They win over `.env`, and give way to the environment of the command.",
            example: "",
            honoured: true,
        },
        Key {
            name: "approve",
            shapes: &[Boolean],
            default: "false",
            about: "A person must agree to each deploy: `--approve`, or a typed yes.",
            example: "true",
            honoured: true,
        },
    ])],
    default: "none",
    about: "An environment, by its name.",
    example: "",
    honoured: true,
}];

const VALUES: &[Key] =
    &[Key { name: "*", shapes: &[Text], default: "none", about: "A value, by the variable's name.", example: "info", honoured: true }];
