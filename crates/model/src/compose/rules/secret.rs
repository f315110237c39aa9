//! Which variables hold secrets, and which values everybody knows. By name and by whole value only: a guess about entropy would be wrong too often
//! to stop a deploy with.

use super::url::Url;
use crate::survey::Weakness;

/// What a secret is for; each has its own least length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Signs or encrypts: whoever guesses it can be anybody.
    Signing,
    /// Opens a database or an account of this app.
    Password,
    /// Given out by somebody else: an API key, a token.
    Token,
}

/// Prefixes of variables that build tools write into what browsers download.
pub(super) const PUBLIC_PREFIXES: [&str; 8] =
    ["NEXT_PUBLIC_", "VITE_", "REACT_APP_", "NUXT_PUBLIC_", "PUBLIC_", "GATSBY_", "EXPO_PUBLIC_", "VUE_APP_"];

/// What the variable's name promises; `None` for what is no secret.
pub(super) fn class(name: &str) -> Option<Class> {
    let name = name.to_ascii_uppercase();
    let ends = |words: &[&str]| words.iter().any(|w| name.ends_with(w));
    let has = |words: &[&str]| words.iter().any(|w| name.contains(w));
    if PUBLIC_PREFIXES.iter().any(|p| name.starts_with(p))
        || has(&["ALLOW_EMPTY", "RANDOM_ROOT", "ONETIME", "PUBLISHABLE"])
        || matches!(name.as_str(), "PWD" | "OLDPWD")
    {
        return None;
    }
    if ends(&["PASSWORD", "PASSWD", "_PASS", "_PWD"]) || name == "PASS" {
        return Some(Class::Password);
    }
    if ends(&[
        "SECRET",
        "SECRET_KEY",
        "SECRET_KEY_BASE",
        "SIGNING_KEY",
        "ENCRYPTION_KEY",
        "JWT_KEY",
        "APP_KEY",
        "SESSION_KEY",
        "COOKIE_KEY",
    ]) {
        let others = has(&["CLIENT_SECRET", "AWS", "STRIPE", "WEBHOOK", "S3_", "GITHUB", "GOOGLE", "TWILIO", "OAUTH", "API_SECRET"]);
        return Some(if others { Class::Token } else { Class::Signing });
    }
    ends(&["_TOKEN", "API_KEY", "APIKEY", "ACCESS_KEY", "PRIVATE_KEY"]).then_some(Class::Token)
}

/// What a value is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worth {
    /// Somebody meant to replace it.
    Placeholder,
    /// It stands in documentation or in everybody's list of passwords.
    Known,
    /// Neither; how good it is, nobody can tell by looking.
    Own,
}

/// A secret with a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Secret<'a> {
    pub(super) value: &'a str,
    pub(super) class: Class,
    pub(super) worth: Worth,
}

/// The secret in a variable's value: by the name, or the password in a URL.
pub(super) fn of<'a>(name: &str, text: &'a str, url: Option<Url<'a>>) -> Option<Secret<'a>> {
    let (value, class) = value(name, text, url).filter(|(value, _)| !value.is_empty())?;
    let worth = match (is_placeholder(value), is_known(value)) {
        (true, _) => Worth::Placeholder,
        (false, true) => Worth::Known,
        (false, false) => Worth::Own,
    };
    Some(Secret { value, class, worth })
}

/// Why the secret in a variable protects nothing, judged on its real value by whoever may see it.
pub fn weakness(name: &str, text: &str) -> Option<Weakness> {
    match of(name, text, Url::parse(text))?.worth {
        Worth::Placeholder => Some(Weakness::Placeholder),
        Worth::Known => Some(Weakness::Known),
        Worth::Own => None,
    }
}

fn value<'a>(name: &str, text: &'a str, url: Option<Url<'a>>) -> Option<(&'a str, Class)> {
    if name == "NEO4J_AUTH" {
        return text.split_once('/').map(|(_, password)| (password, Class::Password));
    }
    if let Some(url) = url {
        return Some(url.password).filter(|p| !p.is_empty()).map(|p| (p, Class::Password));
    }
    let switch = matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "0" | "1");
    class(name).filter(|_| !switch).map(|class| (text, class))
}

/// Passwords from documentation, defaults of images, and the first lines of every list.
const KNOWN: [&str; 71] = [
    "1234",
    "12345",
    "123456",
    "1234567",
    "12345678",
    "123456789",
    "1234567890",
    "a-string-secret-at-least-256-bits-long",
    "abc123",
    "admin",
    "admin123",
    "administrator",
    "changeit",
    "demo",
    "dev",
    "development",
    "docker",
    "elastic",
    "grafana",
    "guest",
    "jwt-secret",
    "jwt_secret",
    "jwtsecret",
    "keyboard cat",
    "keyboardcat",
    "letmein",
    "local",
    "mariadb",
    "minio",
    "minio123",
    "minioadmin",
    "mongo",
    "mongodb",
    "my-secret",
    "my-secret-pw",
    "my_secret",
    "mypassword",
    "mysecret",
    "mysecretkey",
    "mysecretpassword",
    "mysql",
    "neo4j",
    "p@ssw0rd",
    "p@ssword",
    "pass",
    "pass123",
    "passw0rd",
    "password1",
    "password123",
    "postgres",
    "postgres123",
    "qwerty",
    "rabbitmq",
    "redis",
    "root",
    "root123",
    "rootpassword",
    "s3cr3t",
    "s3cret",
    "secret-key",
    "secret123",
    "secret_key",
    "secretkey",
    "shhhhh",
    "super-secret",
    "supersecret",
    "supersecretkey",
    "test123",
    "toor",
    "topsecret",
    "welcome1",
];

/// True for a value that stands in documentation or in everybody's list of passwords.
fn is_known(value: &str) -> bool {
    let lower = value.trim().to_ascii_lowercase();
    KNOWN.binary_search(&lower.as_str()).is_ok() || lower.starts_with("django-insecure-")
}

/// True for a value somebody meant to replace.
fn is_placeholder(value: &str) -> bool {
    let lower = value.trim().to_ascii_lowercase();
    let starts = ["replace", "insert-", "insert_", "enter-", "enter_", "put-your", "my-super-secret", "todo:"];
    let ends = ["-here", "_here", "-goes-here", "-change-me", "_change_me", "-changeme", "-in-production", "_in_production"];
    let begins_yours = ["your", "yourown"].iter().any(|w| lower.strip_prefix(w).is_some_and(|r| r.starts_with(['-', '_', ' '])));
    super::super::contract::is_placeholder(value)
        || begins_yours
        || starts.iter().any(|s| lower.starts_with(s))
        || ends.iter().any(|e| lower.ends_with(e))
}

/// A token in a form that only real ones have; the name of who gave it out.
pub(crate) fn issued(text: &str) -> Option<&'static str> {
    const FORMS: [(&str, usize, &str); 15] = [
        ("AKIA", 20, "AWS access key"),
        ("ASIA", 20, "AWS access key"),
        ("ghp_", 40, "GitHub token"),
        ("gho_", 40, "GitHub token"),
        ("ghs_", 40, "GitHub token"),
        ("github_pat_", 60, "GitHub token"),
        ("glpat-", 26, "GitLab token"),
        ("sk-ant-", 40, "Anthropic key"),
        ("sk-proj-", 40, "OpenAI key"),
        ("sk_live_", 24, "Stripe key"),
        ("rk_live_", 24, "Stripe key"),
        ("xoxb-", 40, "Slack token"),
        ("xoxp-", 40, "Slack token"),
        ("SG.", 60, "SendGrid key"),
        ("AIza", 39, "Google key"),
    ];
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some("private key");
    }
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '=' | ',' | ';' | '@' | ':'));
    let form = |word: &str| {
        let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        // Twelve letters that differ: `sk_live_xxxxxxxxxxxxxxxx` is a placeholder.
        let mut letters: Vec<u8> = word.bytes().collect();
        letters.sort_unstable();
        letters.dedup();
        FORMS.iter().find(|(head, least, _)| plain && letters.len() >= 10 && word.starts_with(head) && word.len() >= *least).map(|f| f.2)
    };
    words.take(200).find_map(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_secret() {
        for (name, want) in [
            ("POSTGRES_PASSWORD", Some(Class::Password)),
            ("PGPASSWORD", Some(Class::Password)),
            ("DB_PASS", Some(Class::Password)),
            ("JWT_SECRET_KEY", Some(Class::Signing)),
            ("NEXTAUTH_SECRET", Some(Class::Signing)),
            ("GOOGLE_CLIENT_SECRET", Some(Class::Token)),
            ("AWS_SECRET_ACCESS_KEY", Some(Class::Token)),
            ("OPENAI_API_KEY", Some(Class::Token)),
            ("NEXT_PUBLIC_API_KEY", None),
            ("POSTGRES_PASSWORD_FILE", None),
            ("MYSQL_ALLOW_EMPTY_PASSWORD", None),
            ("PWD", None),
            ("FIREBASE_SECRET_NAME", None),
            ("TOKEN_TTL", None),
            ("COMPASS", None),
        ] {
            assert_eq!(class(name), want, "{name}");
        }
    }

    #[test]
    fn a_login_of_everybody_is_weak_wherever_it_stands() {
        for (name, text, want) in [
            ("POSTGRES_PASSWORD", "postgres", Some(Weakness::Known)),
            ("BROKER", "amqp://guest:guest@broker:5672", Some(Weakness::Known)),
            ("NEO4J_AUTH", "neo4j/neo4j", Some(Weakness::Known)),
            ("JWT_SECRET", "change-me", Some(Weakness::Placeholder)),
            ("POSTGRES_PASSWORD", "6c1f0e9d8b7a5f4e3d2c", None),
            ("POSTGRES_USER", "postgres", None),
            ("BROKER", "amqp://broker:5672", None),
        ] {
            assert_eq!(weakness(name, text), want, "{name}={text}");
        }
    }

    #[test]
    fn known_values_are_in_order_and_found() {
        assert!(KNOWN.windows(2).all(|w| w[0] < w[1]));
        assert!(is_known("Postgres") && is_known("keyboard cat") && !is_known("correct horse battery staple"));
        assert!(
            is_placeholder("your-64-character-random-secret-key-here") && is_placeholder("replace-me") && !is_placeholder("yourself9x")
        );
    }

    #[test]
    fn issued_tokens_have_their_form() {
        let made = format!("ghp_{}", "aB3dE5fG7hI9jK1lM2nO4pQ6rS8tU0vW1xY2");
        assert_eq!(issued(&made), Some("GitHub token"));
        assert_eq!(issued(&format!("ghp_{}", "x".repeat(36))), None);
        assert_eq!(issued("ghp_short"), None);
    }
}
