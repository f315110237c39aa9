//! Where the base images of a Dockerfile are kept, so that its builder is given the logins of these registries and of no others.
//!
//! Read as far as that asks: `FROM`, `COPY --from`, and the defaults of `ARG` that stand before the first stage. What is not understood needs a login
//! that the builder will not have, and it says so.

use landfall_model::build::{MAX_REGISTRIES, Recipe};
use landfall_model::name::{ImageRef, RegistryHost};
use std::collections::{BTreeMap, BTreeSet};

/// The registries, each once.
pub fn registries(dockerfile: &str, recipe: &Recipe) -> Vec<RegistryHost> {
    let mut arguments: BTreeMap<&str, &str> = BTreeMap::new();
    let mut stages: BTreeSet<String> = BTreeSet::new();
    let mut images: Vec<String> = Vec::new();
    for line in dockerfile.lines() {
        let mut words = line.split_whitespace();
        match words.next().map(str::to_ascii_uppercase).as_deref() {
            Some("ARG") if stages.is_empty() && images.is_empty() => {
                for (name, value) in words.filter_map(|word| word.split_once('=')) {
                    arguments.insert(name, recipe.args.get(name).map_or(value.trim_matches('"'), String::as_str));
                }
            }
            Some("FROM") => {
                let words: Vec<&str> = words.filter(|word| !word.starts_with("--")).collect();
                images.extend(words.first().map(|image| filled(image, &arguments)));
                stages.extend(words.get(2).map(|name| name.to_ascii_lowercase()));
            }
            Some("COPY") => images.extend(words.filter_map(|word| word.strip_prefix("--from=")).map(|image| filled(image, &arguments))),
            _ => {}
        }
    }
    let outside = |image: &&String| !stages.contains(&image.to_ascii_lowercase()) && *image != "scratch";
    let named = images.iter().filter(outside).filter_map(|image| image.parse::<ImageRef>().ok());
    let all: BTreeSet<RegistryHost> = named.chain(recipe.cache_from.iter().cloned()).map(|image| image.registry()).collect();
    all.into_iter().take(MAX_REGISTRIES).collect()
}

/// `${NAME}` and `$NAME` with their values.
fn filled(text: &str, arguments: &BTreeMap<&str, &str>) -> String {
    // The longest first: `$TAGS` is not `$TAG` and an S.
    let mut names: Vec<_> = arguments.iter().collect();
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    names
        .into_iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_images_are_found_and_stages_are_none() {
        let file = "ARG FROM_HERE=ghcr.io\nARG TAG=1\nfrom --platform=linux/amd64 ${FROM_HERE}/acme/base:$TAG AS build\nRUN make\nFROM build\nFROM scratch\n\
                    COPY --from=build /a /a\nCOPY --from=registry.example.com/tools:2 /b /b\n";
        let found = |recipe: &Recipe| registries(file, recipe).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(found(&Recipe::default()), ["ghcr.io", "registry.example.com"]);
        let other = Recipe { args: [("FROM_HERE".into(), "quay.io".into())].into(), ..Recipe::default() };
        assert_eq!(found(&other), ["quay.io", "registry.example.com"]);
        assert_eq!(registries("FROM alpine:3", &Recipe::default())[0].to_string(), "docker.io");
    }
}
