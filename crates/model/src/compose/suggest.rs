//! "Did you mean …": the nearest of a few known words.

/// Longest word worth comparing; the comparison costs the product of both lengths.
const MAX_WORD: usize = 60;

/// Most candidates compared: a hostile file may have a thousand slips among thousands of names.
const MAX_CANDIDATES: usize = 200;

/// The candidate that differs from `word` by the fewest edits, if they are few enough to be a slip.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.is_empty() || word.len() > MAX_WORD {
        return None;
    }
    let wanted: Vec<char> = word.to_lowercase().chars().collect();
    let limit = (wanted.len() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .filter(|c| c.len() <= MAX_WORD && *c != word && c.len().abs_diff(word.len()) <= 2 * limit)
        .filter_map(|c| Some((distance(&wanted, &c.to_lowercase().chars().collect::<Vec<_>>(), limit)?, c)))
        .filter(|(d, c)| *d < c.chars().count())
        .min()
        .map(|(_, c)| c)
}

/// `did you mean …?`, if there is a near one.
pub(crate) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|c| format!("did you mean `{c}`?"))
}

/// The known words, for a hint: a, b or c.
pub(crate) fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|w| format!("`{w}`")).collect();
            format!("{} or `{last}`", first.join(", "))
        }
    }
}

/// Edits (insert, delete, replace, swap of neighbours) between two words: optimal string alignment. `None` when there are more than `limit`,
/// which is found out after a few letters.
fn distance(a: &[char], b: &[char], limit: usize) -> Option<usize> {
    // Three rows of the table are enough: the last two and the one being filled; and of a row only what `limit` can reach.
    let far = limit + 1;
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![far; b.len() + 1];
        row[0] = i;
        let reach = i.saturating_sub(limit).max(1)..=(i + limit).min(b.len());
        for j in reach {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row[j] = best;
        }
        if row.iter().all(|d| *d > limit) {
            return None;
        }
        before = std::mem::replace(&mut last, row);
    }
    Some(last[b.len()]).filter(|d| *d <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let keys = ["image", "environment", "ports", "healthcheck", "depends_on"];
        assert_eq!(nearest("imgae", keys), Some("image"));
        assert_eq!(nearest("enviroment", keys), Some("environment"));
        assert_eq!(nearest("port", keys), Some("ports"));
        assert_eq!(nearest("health_check", keys), Some("healthcheck"));
        assert_eq!(nearest("dependsOn", keys), Some("depends_on"));
        assert_eq!(nearest("banana", keys), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(one_of(&["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
