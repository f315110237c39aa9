//! Spellings of a path: the first byte says what sort of reader stands behind the proxy, the rest is what is sent. What that reader takes for a guarded path
//! is covered by the guard.

#![no_main]

#[path = "../../crates/proxy/src/table/spelling.rs"]
#[allow(dead_code)]
mod spelling;

use http::Uri;
use landfall_model::route::covers;
use landfall_proxy::fuzzing::target;
use spelling::Readings;

const GUARDED: &str = "/admin";

/// How a server or framework reads a path, beyond what RFC 3986 has it do.
struct Reader(u8);

impl Reader {
    fn does(&self, habit: u8) -> bool {
        self.0 >> habit & 1 == 1
    }

    fn decoded(text: &str) -> String {
        let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
        while let Some(byte) = bytes.get(at) {
            let pair = bytes.get(at + 1..at + 3).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
            let code = pair.and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).filter(|_| *byte == b'%');
            out.push(code.unwrap_or(*byte));
            at += if code.is_some() { 3 } else { 1 };
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    fn cut(text: &str) -> String {
        text.split('/').map(|part| part.split(';').next().unwrap_or_default()).collect::<Vec<_>>().join("/")
    }

    fn read(&self, sent: &str) -> String {
        let mut text = if self.does(2) { Self::cut(sent) } else { sent.to_owned() };
        // Once is right.
        for _ in 0..=self.0 & 3 {
            text = Self::decoded(&text);
        }
        if self.does(3) {
            text = text.replace('\\', "/");
        }
        if self.does(4) {
            text = text.split(['?', '#']).next().unwrap_or_default().to_owned();
        }
        if self.does(5) {
            text = Self::cut(&text);
        }
        if self.does(6) {
            text = text.to_ascii_lowercase();
        }
        let mut parts: Vec<&str> = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part if self.does(7) => parts.push(part.trim_end_matches(['.', ' '])),
                part => parts.push(part),
            }
        }
        format!("/{}", parts.join("/"))
    }
}

landfall_fuzz::fuzz!(|data: &[u8]| {
    let Some((habits, sent)) = data.split_first() else { return };
    let Ok(uri) = Uri::try_from(sent) else { return };
    let Some(found) = target(&uri) else { return };
    let readings = Readings::of(&found.path);
    let is_covered = readings.any(|path| covers(GUARDED, path));
    assert!(covers(GUARDED, &found.path) <= is_covered, "{} is guarded and its readings are not", found.path);
    let sent = uri.path();
    let read = Reader(*habits).read(sent);
    assert!(covers(GUARDED, &read) <= is_covered, "{sent} is {read} for a reader {habits:08b}, and nothing guarded for the proxy");
});
