//! Secrets that are known by their form, whatever they are called: passwords in URLs, private keys, tokens, hashes of passwords.

use crate::compose::rules::issued;
use std::ops::Range;

/// Beginnings of password hashes, also with the `$` doubled, as Compose wants it.
const HASHES: [&str; 9] = ["$2a$", "$2b$", "$2x$", "$2y$", "$argon2", "$apr1$", "$5$", "$6$", "$y$"];

/// What ends a word.
fn ends(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')
}

/// Where they stand, in no order.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    urls(text, &mut found);
    keys(text, &mut found);
    let mut from = 0;
    for word in text.split(ends) {
        if word.len() >= 6 {
            hash(from, word, &mut found);
        }
        if word.len() >= 20 {
            tokens(from, word, &mut found);
        }
        from += word.len();
        from += text[from..].chars().next().map_or(0, char::len_utf8);
    }
    programs(text, &mut found);
    found
}

/// `scheme://user:password@host`.
fn urls(text: &str, found: &mut Vec<Range<usize>>) {
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let rest = &text[start..];
        let authority = &rest[..rest.find(ends).unwrap_or(rest.len())];
        let Some(end) = authority.rfind('@') else { continue };
        let Some(colon) = authority[..end].find(':') else { continue };
        let password = &authority[colon + 1..end];
        // A port, and an `@` in the path after it.
        if password.split_once('/').is_some_and(|(port, _)| port.bytes().all(|b| b.is_ascii_digit())) {
            continue;
        }
        match super::reference(password) {
            Some(default) => found.push(start + colon + 1 + default.start..start + colon + 1 + default.end),
            None => found.push(start + colon + 1..start + end),
        }
    }
}

/// The lines of a private key.
fn keys(text: &str, found: &mut Vec<Range<usize>>) {
    const HEAD: &str = "PRIVATE KEY-----";
    for (at, head) in text.match_indices(HEAD) {
        let before = &text[text[..at].rfind('\n').map_or(0, |i| i + 1)..at];
        if before.contains("BEGIN ") {
            let start = at + head.len();
            found.push(start..text[start..].find("-----END").map_or(text.len(), |i| start + i));
        }
    }
}

fn hash(from: usize, word: &str, found: &mut Vec<Range<usize>>) {
    let Some(at) = word.find('$') else { return };
    let plain = word[at..].replace("$$", "$");
    if HASHES.iter().any(|head| plain.contains(head)) {
        found.push(from + at..from + word.len());
    }
}

/// Tokens that say who gave them out, JSON web tokens, and long numbers in hexadecimal that are no digest of an image and no version.
fn tokens(from: usize, word: &str, found: &mut Vec<Range<usize>>) {
    let mut start = 0;
    for part in word.split(['=', ',', ';', '@', ':', '[', ']', '{', '}', '(', ')']) {
        let end = start + part.len();
        let before = word[..start].chars().next_back();
        let jwt = part.len() >= 30 && part.starts_with("eyJ") && part.matches('.').count() == 2;
        let hex = part.len() >= 32 && part.bytes().all(|b| b.is_ascii_hexdigit()) && !matches!(before, Some(':' | '@'));
        let hex = hex && part.bytes().any(|b| b.is_ascii_digit()) && part.bytes().any(|b| b.is_ascii_alphabetic());
        if jwt || hex || issued(part).is_some() {
            found.push(from + start..from + end);
        }
        start = end + word[end..].chars().next().map_or(0, char::len_utf8);
    }
}

/// Passwords that well-known programs take in one letter: `mysql -pPASSWORD`, `redis-cli -a PASSWORD`, `curl -u USER:PASSWORD`.
fn programs(text: &str, found: &mut Vec<Range<usize>>) {
    let mut from = 0;
    for line in text.split_inclusive('\n') {
        let mut glued = |option: &str, after: fn(&str) -> usize| {
            for (at, option) in line.match_indices(option) {
                let rest = &line[at + option.len()..];
                let skipped = rest.len() - rest.trim_start_matches([' ', '"', '\'', ',']).len();
                let word = &rest[skipped..];
                let end = word.find(|c: char| ends(c) || matches!(c, ',' | ']')).unwrap_or(word.len());
                let start = after(&word[..end]).min(end);
                if super::reference(&word[start..end]).is_none() {
                    found.push(from + at + option.len() + skipped + start..from + at + option.len() + skipped + end);
                }
            }
        };
        let whole = |_: &str| 0;
        let password = |word: &str| word.find(':').map_or(word.len(), |i| i + 1);
        if ["mysql", "mariadb", "sshpass"].iter().any(|program| line.contains(program)) {
            for before in [" -p", "\"-p", "'-p"] {
                // `-p 3306` asks for the password, and the word after it is another.
                if !line.contains(&format!("{before} ")) || line.contains("sshpass") {
                    glued(before, whole);
                }
            }
        }
        if line.contains("redis-cli") {
            glued(" -a", whole);
            glued("\"-a\"", whole);
        }
        if ["curl", "wget"].iter().any(|program| line.contains(program)) {
            glued(" -u", password);
            glued("\"-u\"", password);
            glued("--user", password);
        }
        from += line.len();
    }
}
