//! Names that say that their value is secret. More of them than the production rules know: there a wrong guess stops a deploy, here it hides a word.

/// Ends of names, in capitals with `_` between words.
const ENDS: [&str; 22] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PASS",
    "_PWD",
    "SECRET",
    "TOKEN",
    "_KEY",
    "APIKEY",
    "KEY_BASE",
    "CREDENTIAL",
    "CREDENTIALS",
    "_SALT",
    "SALT_KEY",
    "_DSN",
    "_AUTH",
    "_PIN",
    "_COOKIE",
    "_SIGNATURE",
    "BEARER",
    "_PW",
    "CONNECTION_STRING",
];

/// What makes a name a secret's wherever it stands in it.
const PARTS: [&str; 3] = ["PASSWORD", "PASSWD", "PASSPHRASE"];

/// Ends that say that the value is something about a secret.
const ABOUT: [&str; 14] =
    ["FILE", "PATH", "NAME", "TTL", "LENGTH", "POLICY", "URL", "URI", "EXPIRY", "EXPIRATION", "ENABLED", "REQUIRED", "PUBLIC_KEY", "FIELD"];

/// Keys that hold a value when they stand below a name.
const HOLDERS: [&str; 7] = ["default", "value", "content", "example", "examples", "text", "data"];

/// Options of well-known programs whose next word is a password.
const OPTIONS: [&str; 4] = ["requirepass", "masterauth", "pw", "auth"];

/// `dbPassword`, `db-password` and `db.password` as `DB_PASSWORD`; numbers at the end do not count.
fn capitals(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut lower = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && lower {
            out.push('_');
        }
        lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        out.push(if matches!(c, '-' | '.') { '_' } else { c.to_ascii_uppercase() });
    }
    out.truncate(out.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_').len());
    out
}

/// Whether the value of a variable of that name is secret.
pub(super) fn is_secret(name: &str) -> bool {
    if name.len() < 3 || name.len() > 200 {
        return false;
    }
    let name = capitals(name);
    let about = ABOUT.iter().any(|end| name.ends_with(end)) || name == "PWD" || name == "OLDPWD" || name.contains("ALLOW_EMPTY");
    !about && (ENDS.iter().any(|end| name.ends_with(end)) || PARTS.iter().any(|part| name.contains(part)))
}

/// Whether an option of a command line, without its dashes, is followed by a password.
pub(super) fn is_option(name: &str) -> bool {
    OPTIONS.contains(&name)
}

/// Whether a key below a secret's name holds its value.
pub(super) fn is_holder(key: &str) -> bool {
    HOLDERS.contains(&key)
}
