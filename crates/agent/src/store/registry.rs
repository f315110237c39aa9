//! Logins of registries, sealed; and the images that came to this server through Landfall.

use super::{Store, fail, parsed_word};
use crate::clock::now_ms;
use crate::error::StoreError;
use landfall_model::image::RegistryStatus;
use landfall_model::name::{ImageId, ImageRef, RegistryHost};
use rusqlite::{OptionalExtension, params};

/// An image that Landfall fetched or was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageRow {
    pub(crate) id: ImageId,
    pub(crate) reference: ImageRef,
    /// By a client, not from a registry.
    pub(crate) sent: bool,
    pub(crate) at_ms: u64,
}

impl Store {
    /// Keeps a login in place of the one before.
    pub(crate) fn put_registry(&self, host: &RegistryHost, user: &str, sealed: &[u8], who: &str) -> Result<(), StoreError> {
        self.writer("keep a login")?
            .execute(
                "INSERT OR REPLACE INTO registry (host, user, sealed, who, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![host.as_str(), user, sealed, who, now_ms()],
            )
            .map(drop)
            .map_err(fail("keep a login"))
    }

    /// The account at a registry and its sealed password.
    pub(crate) fn registry(&self, host: &RegistryHost) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        self.lock()
            .query_row("SELECT user, sealed FROM registry WHERE host = ?1", [host.as_str()], |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()
            .map_err(fail("read a login"))
    }

    /// Every login without its password.
    pub(crate) fn registries(&self) -> Result<Vec<RegistryStatus>, StoreError> {
        let connection = self.lock();
        let mut query =
            connection.prepare_cached("SELECT host, user, who, at_ms FROM registry ORDER BY host").map_err(fail("list logins"))?;
        let rows = query
            .query_map([], |r| {
                Ok(RegistryStatus { host: parsed_word(r, "host")?, user: r.get("user")?, who: r.get("who")?, at_ms: r.get("at_ms")? })
            })
            .map_err(fail("list logins"))?;
        rows.collect::<Result<_, _>>().map_err(fail("list logins"))
    }

    /// Forgets a login. Answers whether there was one.
    pub(crate) fn drop_registry(&self, host: &RegistryHost) -> Result<bool, StoreError> {
        let gone = self.writer("forget a login")?.execute("DELETE FROM registry WHERE host = ?1", [host.as_str()]);
        gone.map(|rows| rows > 0).map_err(fail("forget a login"))
    }

    /// Remembers that an image came, and by which name.
    pub(crate) fn put_image(&self, id: &ImageId, reference: &ImageRef, sent: bool) -> Result<(), StoreError> {
        self.writer("remember an image")?
            .execute(
                "INSERT OR REPLACE INTO image (id, reference, sent, at_ms) VALUES (?1, ?2, ?3, ?4)",
                params![id.as_str(), reference.as_str(), sent, now_ms()],
            )
            .map(drop)
            .map_err(fail("remember an image"))
    }

    /// Every image that came through Landfall and has not been deleted by it, the oldest first.
    pub(crate) fn images(&self) -> Result<Vec<ImageRow>, StoreError> {
        let connection = self.lock();
        let mut query = connection.prepare_cached("SELECT * FROM image ORDER BY at_ms, id, reference").map_err(fail("list images"))?;
        let rows = query
            .query_map([], |r| {
                Ok(ImageRow {
                    id: parsed_word(r, "id")?,
                    reference: parsed_word(r, "reference")?,
                    sent: r.get("sent")?,
                    at_ms: r.get("at_ms")?,
                })
            })
            .map_err(fail("list images"))?;
        rows.collect::<Result<_, _>>().map_err(fail("list images"))
    }

    /// Forgets an image under all its names.
    pub(crate) fn drop_image(&self, id: &ImageId) -> Result<(), StoreError> {
        self.writer("forget an image")?.execute("DELETE FROM image WHERE id = ?1", [id.as_str()]).map(drop).map_err(fail("forget an image"))
    }
}
