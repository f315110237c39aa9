//! Sealing: what the store keeps of secrets can be read only with a key that lies beside the store, in a file of mode 600.
//!
//! XChaCha20-Poly1305 with a random nonce of 192 bits, so that no counter has to survive a crash. Every sealed text is bound to a context (whose it is and
//! what for): one that was moved to another row does not open. It names the key it was sealed with, so that a lost or exchanged key file is told
//! apart from a row somebody changed. What was opened is wiped when it is dropped, and cannot be printed.

use aws_lc_rs::{digest, rand};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use std::fmt;
use std::io::{Read, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest text that can be sealed.
pub const MAX_SEALED: usize = 1024 * 1024;

const KEY: usize = 32;
const NONCE: usize = 24;
/// First byte: how the rest is to be read.
const VERSION: u8 = 1;
/// Version, name of the key, nonce.
const HEAD: usize = 1 + KEY_ID + NONCE;
const KEY_ID: usize = 8;

/// Seals and opens with the key of one home.
pub struct Seal {
    cipher: XChaCha20Poly1305,
    id: [u8; KEY_ID],
    file: PathBuf,
}

/// A secret in clear. It has neither `Display` nor `Serialize`, and its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened(Zeroizing<Vec<u8>>);

impl Opened {
    /// The bytes, to hand on to what needs them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// As text, when it is one.
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(self.expose()).ok()
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened(…)")
    }
}

/// A secret cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The file of the key.
    #[error("the key file {file} cannot be used")]
    File {
        /// Which.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key is another than it was sealed with.
    #[error("this was sealed with another key than the one in {file}")]
    OtherKey {
        /// Which.
        file: String,
    },
    /// Somebody changed or moved what the store keeps.
    #[error("what the store keeps for {context} was changed or belongs elsewhere")]
    Changed {
        /// What was asked for.
        context: String,
    },
    /// Too long to be a secret.
    #[error("it is longer than {MAX_SEALED} bytes")]
    TooLong,
}

impl SealError {
    /// Stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File { .. } | Self::OtherKey { .. } => "secret-key",
            Self::Changed { .. } => "secret-changed",
            Self::TooLong => "secret-too-long",
        }
    }

    /// What to try.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::File { file, .. } => vec![format!("it must be a file of the agent's own: `chmod 600 {file}`")],
            Self::OtherKey { file } => {
                vec![format!("put back {file} from the copy of this home; without it every secret has to be set again")]
            }
            Self::Changed { .. } => vec!["set it again; and find out who wrote into the store".to_owned()],
            Self::TooLong => Vec::new(),
        }
    }
}

impl Seal {
    /// Reads the key, or makes one where there is none.
    pub fn open(file: &Path) -> Result<Self, SealError> {
        let failed = |source| SealError::File { file: file.display().to_string(), source };
        let key = match read(file) {
            Ok(key) => key,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => make(file).map_err(failed)?,
            Err(e) => return Err(failed(e)),
        };
        let mut id = [0; KEY_ID];
        let named = digest::digest(&digest::SHA256, &[b"landfall seal key ".as_slice(), key.as_slice()].concat());
        id.iter_mut().zip(named.as_ref()).for_each(|(to, from)| *to = *from);
        let cipher = XChaCha20Poly1305::new(&Key::from(*key));
        Ok(Self { cipher, id, file: file.to_owned() })
    }

    /// Seals a text for a context: the same words are needed to open it.
    pub fn seal(&self, context: &[&str], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        if plain.len() > MAX_SEALED {
            return Err(SealError::TooLong);
        }
        let failed = |what: &str| SealError::File { file: self.file.display().to_string(), source: std::io::Error::other(what.to_owned()) };
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce).map_err(|_| failed("the system gives no random bytes"))?;
        let payload = Payload { msg: plain, aad: &bound(context) };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::TooLong)?;
        Ok([&[VERSION], self.id.as_slice(), nonce.as_slice(), sealed.as_slice()].concat())
    }

    /// Opens what was sealed for this context.
    pub fn unseal(&self, context: &[&str], sealed: &[u8]) -> Result<Opened, SealError> {
        let changed = || SealError::Changed { context: context.join(" ") };
        let (head, text) = sealed.split_at_checked(HEAD).ok_or_else(changed)?;
        let (version, rest) = head.split_first().ok_or_else(changed)?;
        let (id, nonce) = rest.split_at_checked(KEY_ID).ok_or_else(changed)?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| changed())?;
        if *version != VERSION {
            return Err(changed());
        }
        if id != self.id {
            return Err(SealError::OtherKey { file: self.file.display().to_string() });
        }
        let payload = Payload { msg: text, aad: &bound(context) };
        let plain = self.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| changed())?;
        Ok(Opened(Zeroizing::new(plain)))
    }
}

/// Words with their lengths, so that no two contexts are written alike.
fn bound(context: &[&str]) -> Vec<u8> {
    let word = |word: &&str| [(word.len() as u64).to_be_bytes().as_slice(), word.as_bytes()].concat();
    context.iter().flat_map(word).collect()
}

/// A key that others could have read is none.
fn read(file: &Path) -> std::io::Result<Zeroizing<[u8; KEY]>> {
    let mut open = std::fs::File::open(file)?;
    let found = open.metadata()?;
    let mode = found.permissions().mode() & 0o777;
    if !found.is_file() || mode & 0o077 != 0 {
        return Err(std::io::Error::other(format!("its mode is {mode:o}, so others may have read it")));
    }
    if found.len() != KEY as u64 {
        return Err(std::io::Error::other(format!("it has {} bytes, and a key has {KEY}", found.len())));
    }
    let mut key = Zeroizing::new([0; KEY]);
    open.read_exact(key.as_mut_slice())?;
    Ok(key)
}

fn make(file: &Path) -> std::io::Result<Zeroizing<[u8; KEY]>> {
    let mut key = Zeroizing::new([0; KEY]);
    rand::fill(key.as_mut_slice()).map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
    // Beside its place and then linked into it: whoever comes second reads the key of whoever came first.
    let beside = file.with_extension(format!("new-{}", std::process::id()));
    let mut new = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    new.write_all(key.as_slice())?;
    new.sync_all()?;
    let linked = std::fs::hard_link(&beside, file);
    std::fs::remove_file(&beside)?;
    match linked {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return read(file),
        linked => linked?,
    }
    std::fs::File::open(file.parent().unwrap_or(Path::new("/")))?.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(dir: &tempfile::TempDir) -> Seal {
        Seal::open(&dir.path().join("secret.key")).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_for_its_context_after_a_restart_and_for_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let sealed = seal(&dir).seal(&["app", "JWT"], b"canary").unwrap();
        assert!(!sealed.windows(6).any(|w| w == b"canary"));
        let again = seal(&dir);
        assert_eq!(again.unseal(&["app", "JWT"], &sealed).unwrap().expose_text(), Some("canary"));
        for other in [&["app", "KEY"][..], &["appJWT"], &["ap", "pJWT"], &["app", "JWT", ""]] {
            assert!(matches!(again.unseal(other, &sealed), Err(SealError::Changed { .. })), "{other:?}");
        }
        assert_ne!(again.seal(&["app", "JWT"], b"canary").unwrap(), sealed, "twice the same is not seen to be the same");
        assert_eq!(format!("{:?}", again.unseal(&["app", "JWT"], &sealed).unwrap()), "Opened(…)");
    }

    #[test]
    fn no_changed_bit_opens() {
        let dir = tempfile::tempdir().unwrap();
        let seal = seal(&dir);
        let sealed = seal.seal(&["a"], b"text").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(seal.unseal(&["a"], &changed).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(seal.unseal(&["a"], &sealed[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_lost_key_and_one_that_others_can_read_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret.key");
        let sealed = seal(&dir).seal(&["a"], b"text").unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::remove_file(&file).unwrap();
        let error = seal(&dir).unseal(&["a"], &sealed).unwrap_err();
        assert!(matches!(error, SealError::OtherKey { .. }) && error.hints()[0].contains("set again"), "{error}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Seal::open(&file), Err(SealError::File { .. })));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&file, b"short").unwrap();
        assert!(matches!(Seal::open(&file), Err(SealError::File { .. })));
    }
}
