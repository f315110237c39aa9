//! Files out of an image.

use crate::bench::{IMAGE, bench, engine};
use bollard::query_parameters::ListContainersOptionsBuilder;
use landfall_model::name::ImageRef;
use landfall_runtime::Runtime;
use std::collections::{BTreeSet, HashMap};

#[tokio::test]
async fn a_directory_of_an_image_is_read_without_running_anything() {
    bench("unpack")
        .await
        .with(async |b| {
            let image: ImageRef = IMAGE.parse().unwrap();
            let observed = b.rt.observe(&b.kit.app, &BTreeSet::from([image.clone()])).await.unwrap();
            let id = observed.images.get(&image).unwrap();
            let mut bytes = Vec::new();
            b.rt.files(id, "/usr/share/base-files", &mut bytes).await.unwrap();
            let mut archive = tar::Archive::new(&bytes[..]);
            let names: Vec<String> = archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string()).collect();
            assert!(names.iter().all(|n| n.starts_with("base-files/")) && names.iter().any(|n| n.ends_with("motd")), "{names:?}");
            let missing = b.rt.files(id, "/no/such/directory", &mut Vec::new()).await.unwrap_err();
            let why = std::error::Error::source(&missing).unwrap().to_string();
            assert!(why.contains("no such directory"), "{missing}: {why}");
            let made = HashMap::from([("name", vec!["landfall-files-"])]);
            let left = engine().list_containers(Some(ListContainersOptionsBuilder::new().all(true).filters(&made).build())).await.unwrap();
            assert!(left.is_empty(), "{left:?}");
        })
        .await;
}
