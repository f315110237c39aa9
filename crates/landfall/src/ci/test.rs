//! How a project is tested, from what lies in it: a Dockerfile's stage `test` first, for there the tools have their versions; else the usual commands
//! of the language whose files are there; else what the user types.

use super::plan::{Build, How, Language, Test};
use super::word::Literal;
use crate::error::Outcome;
use std::path::Path;

/// Of a Dockerfile so much is looked at.
const MAX_DOCKERFILE: usize = 256 * 1024;

/// By which files a language is known.
const KNOWN: [(&str, Language); 5] = [
    ("package.json", Language::Node),
    ("requirements.txt", Language::Python),
    ("pyproject.toml", Language::Python),
    ("go.mod", Language::Go),
    ("Cargo.toml", Language::Rust),
];

/// Of an image that is built.
pub fn of(image: &Build, dir: &Path) -> Outcome<Option<Test>> {
    let name = Literal::new("the service", image.service.as_str())?;
    if has_stage(&dir.join(image.dockerfile.as_str())) {
        return Ok(Some(Test { name, how: How::Stage { dockerfile: image.dockerfile.clone(), context: image.context.clone() } }));
    }
    Ok(language(&dir.join(image.context.as_str()))
        .map(|language| Test { name, how: How::Language { language, directory: image.context.clone() } }))
}

/// Of a project that builds no images.
pub fn here(dir: &Path) -> Outcome<Option<Test>> {
    let (name, directory) = (Literal::new("the name", "app")?, Literal::new("the directory", ".")?);
    Ok(language(dir).map(|language| Test { name, how: How::Language { language, directory } }))
}

/// What somebody typed.
pub fn typed(command: &str) -> Outcome<Test> {
    Ok(Test { name: Literal::new("the name", "app")?, how: How::Typed(Literal::new("`--test`", command)?) })
}

/// Services that share a directory are tested once.
pub fn once(tests: &mut Vec<Test>) {
    let mut seen: Vec<String> = Vec::new();
    tests.retain(|test| {
        let place = match &test.how {
            How::Stage { dockerfile, .. } => format!("stage {dockerfile}"),
            How::Language { directory, .. } => format!("directory {directory}"),
            How::Typed(command) => command.to_string(),
        };
        let new = !seen.contains(&place);
        seen.push(place);
        new
    });
}

fn language(dir: &Path) -> Option<Language> {
    KNOWN.iter().find(|(file, _)| dir.join(file).is_file()).map(|(_, language)| *language)
}

/// `FROM … AS test`.
fn has_stage(dockerfile: &Path) -> bool {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(dockerfile).and_then(|file| file.take(MAX_DOCKERFILE as u64).read_to_string(&mut text));
    read.is_ok()
        && text.lines().any(|line| {
            let words: Vec<String> = line.split_whitespace().map(str::to_ascii_lowercase).collect();
            words.first().is_some_and(|word| word == "from") && words.ends_with(&["as".to_owned(), "test".to_owned()])
        })
}
