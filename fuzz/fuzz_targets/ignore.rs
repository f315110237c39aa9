//! `.dockerignore`: the first line is a path, the others are the file. A decision is that of a reader that tries everything; the spelling of a line does not change it.

#![no_main]

#[path = "../../crates/landfall/src/build/ignore.rs"]
#[allow(dead_code)]
mod ignore;

/// One part against one pattern, by trying every length of a star; `None` where the pattern has more than stars and plain characters.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=text.len()).any(|n| glob(rest, &text[n..])),
        (Some((b'?', rest)), Some((_, text))) => glob(rest, text),
        (Some((own, rest)), Some((byte, text))) => own == byte && glob(rest, text),
        _ => false,
    }
}

fn fits(pattern: &[&str], path: &[&str], begun: bool) -> bool {
    match pattern.split_first() {
        None => begun,
        Some((&"**", [])) => !path.is_empty(),
        Some((&"**", rest)) => (0..=path.len()).any(|n| fits(rest, &path[n..], begun || n > 0)),
        Some((first, rest)) => {
            path.split_first().is_some_and(|(part, path)| glob(first.as_bytes(), part.as_bytes()) && fits(rest, path, true))
        }
    }
}

landfall_fuzz::fuzz!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((path, file)) = text.split_once('\n') else { return };
    if path.len() > 200 || path.is_empty() || file.contains('\u{feff}') || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return;
    }
    let ignore = ignore::Ignore::parse(file);
    let found = ignore.leaves_out(path);
    let _ = ignore.may_keep_below(path);
    // Comments and empty lines say nothing.
    assert_eq!(ignore::Ignore::parse(&format!("# x\n\n{file}\n  # y\n")).leaves_out(path), found);
    assert!(ignore::Ignore::parse(&format!("{file}\n**")).leaves_out(path));
    assert!(!ignore::Ignore::parse(&format!("{file}\n!**")).leaves_out(path));
    let simple = file.len() <= 60 && file.matches('*').count() <= 6 && !file.contains(['\\', '[']);
    if !simple || path.len() > 40 {
        return;
    }
    let mut left_out = false;
    for line in file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (text, exception) = line.strip_prefix('!').map_or((line, false), |rest| (rest.trim(), true));
        let mut parts = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let names: Vec<&str> = path.split('/').collect();
        // What fits a directory on the way fits all below it.
        if !parts.is_empty() && (1..=names.len()).any(|n| fits(&parts, &names[..n], false)) {
            left_out = !exception;
        }
    }
    assert_eq!(found, left_out, "{path:?} by {file:?}");
});
