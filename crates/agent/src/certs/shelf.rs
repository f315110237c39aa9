//! Records and certificates of ACME authorities, on disk and in memory.
//!
//! A directory a name: `record.json` says which generation of `<generation>.pem` and `<generation>.key` is the one to serve. Files of a generation
//! are written before the record names them and are never changed, so chain and key always belong together, whatever was cut off. The generation
//! before stays, because a proxy that restarts reads its last table.

use super::file::{make_private_dir, read_text, write_private};
use super::leaf::Leaf;
use super::problem::Problem;
use super::record::{Issued, Record};
use landfall_model::digest::digest;
use landfall_model::name::CertificateName;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of a record, a chain or a key.
const MAX_FILE: u64 = 1024 * 1024;

/// All records.
pub(super) struct Shelf {
    dir: PathBuf,
    records: Mutex<BTreeMap<CertificateName, Record>>,
}

impl Shelf {
    /// Reads what is there. A record that cannot be read is a name that is asked for anew; it never keeps an agent from starting.
    pub(super) fn open(dir: PathBuf) -> Self {
        let mut records = BTreeMap::new();
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path().join("record.json");
            match read_text(&path, MAX_FILE).map_err(|e| e.to_string()).and_then(|t| parse(&t)) {
                Ok(record) => drop(records.insert(record.name.clone(), record)),
                Err(_) if !path.exists() => {}
                Err(error) => tracing::error!(path = %path.display(), error, "what is known of a certificate cannot be read"),
            }
        }
        Self { dir, records: Mutex::new(records) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<CertificateName, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a name.
    pub(super) fn record(&self, name: &CertificateName) -> Record {
        self.lock().get(name).cloned().unwrap_or_else(|| Record::new(name.clone()))
    }

    /// Changes a record, on disk and then in memory. A disk that refuses keeps nobody from serving; it is told in the log.
    pub(super) fn update(&self, name: &CertificateName, change: impl FnOnce(&mut Record)) {
        let mut records = self.lock();
        let record = records.entry(name.clone()).or_insert_with(|| Record::new(name.clone()));
        change(record);
        if let Err(error) = save(&self.dir_of(name), record) {
            tracing::error!(%name, %error, "what is known of a certificate cannot be written");
        }
    }

    /// The files of a generation.
    pub(super) fn files(&self, name: &CertificateName, generation: u32) -> (PathBuf, PathBuf) {
        let dir = self.dir_of(name);
        (dir.join(format!("{generation}.pem")), dir.join(format!("{generation}.key")))
    }

    /// The key of an order under way.
    pub(super) fn key(&self, name: &CertificateName, generation: u32) -> Option<KeyPair> {
        read_text(&self.files(name, generation).1, MAX_FILE).ok().and_then(|pem| KeyPair::from_pem(&pem).ok())
    }

    /// A new key, of a generation that no file has yet.
    pub(super) fn new_key(&self, name: &CertificateName) -> Result<(u32, KeyPair), Problem> {
        let failed = |e: &dyn std::fmt::Display| Problem::local("make a key", e);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|e| failed(&e))?;
        let mut generation = 0;
        self.update(name, |record| {
            record.generation = record.generation.wrapping_add(1);
            generation = record.generation;
        });
        make_private_dir(&self.dir_of(name)).map_err(|e| failed(&e))?;
        write_private(&self.files(name, generation).1, key.serialize_pem().as_bytes()).map_err(|e| failed(&e))?;
        Ok((generation, key))
    }

    /// Checks that a chain is what was asked for, and keeps it as the one to serve.
    pub(super) fn keep(&self, name: &CertificateName, ca: &str, generation: u32, chain: &str) -> Result<Issued, Problem> {
        let useless = |why: &str| Problem::local("use what the authority issued", why);
        let leaf = Leaf::of_chain(chain).map_err(|e| useless(&e.to_string()))?;
        let key = self.key(name, generation).ok_or_else(|| useless("its key is gone"))?;
        if leaf.public_key != key.subject_public_key_info() {
            return Err(useless("it is for another key"));
        }
        if !leaf.names.iter().any(|n| n == name.as_str()) {
            return Err(useless("it is for another name"));
        }
        write_private(&self.files(name, generation).0, chain.as_bytes()).map_err(|e| Problem::local("write a certificate", e))?;
        let issued = Issued {
            generation,
            ca: ca.to_owned(),
            issuer: leaf.issuer,
            from_ms: leaf.from_ms,
            until_ms: leaf.until_ms,
            fingerprint: digest(&chain).short().to_owned(),
            window: None,
            ask_window_ms: 0,
            told_days: None,
        };
        let before = self.record(name).issued.map(|i| i.generation);
        self.update(name, |record| record.succeeded(issued.clone()));
        self.sweep(name, &[Some(generation), before]);
        Ok(issued)
    }

    /// Removes files of generations that nobody may need any more.
    fn sweep(&self, name: &CertificateName, keep: &[Option<u32>]) {
        for entry in std::fs::read_dir(self.dir_of(name)).into_iter().flatten().flatten() {
            let path = entry.path();
            let generation = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse::<u32>().ok());
            if generation.is_some() && !keep.contains(&generation) {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// The leaf that is served.
    pub(super) fn leaf(&self, name: &CertificateName, issued: &Issued) -> Option<Leaf> {
        let (chain, _) = self.files(name, issued.generation);
        read_text(&chain, MAX_FILE).ok().and_then(|pem| Leaf::of_chain(&pem).ok())
    }

    /// A name is a path element: it has no slash and does not begin with a dot. Shells and people dislike `*`.
    fn dir_of(&self, name: &CertificateName) -> PathBuf {
        let label = if name.is_wildcard() { "_wildcard." } else { "" };
        self.dir.join(format!("{label}{}", name.suffix()))
    }
}

fn parse(text: &str) -> Result<Record, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

fn save(dir: &Path, record: &Record) -> std::io::Result<()> {
    make_private_dir(dir)?;
    write_private(&dir.join("record.json"), &serde_json::to_vec(record)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::CertificateParams;
    use std::os::unix::fs::PermissionsExt;

    fn issue(shelf: &Shelf, name: &CertificateName, of: &str) -> Result<Issued, Problem> {
        let (generation, key) = shelf.new_key(name)?;
        let chain = CertificateParams::new(vec![of.to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        shelf.keep(name, "https://ca/", generation, &chain)
    }

    #[test]
    fn what_is_kept_is_there_after_a_restart_private_and_two_generations_at_most() {
        let dir = tempfile::tempdir().unwrap();
        let name: CertificateName = "*.example.org".parse().unwrap();
        let shelf = Shelf::open(dir.path().join("acme"));
        for _ in 0..4 {
            issue(&shelf, &name, "*.example.org").unwrap();
        }
        let again = Shelf::open(dir.path().join("acme"));
        let record = again.record(&name);
        assert_eq!(record, shelf.record(&name));
        assert!(again.leaf(&name, record.issued.as_ref().unwrap()).is_some());
        let files: Vec<_> = std::fs::read_dir(dir.path().join("acme/_wildcard.example.org")).unwrap().flatten().collect();
        assert_eq!(files.len(), 5, "{files:?}");
        assert!(files.iter().all(|f| f.metadata().unwrap().permissions().mode() & 0o777 == 0o600));
    }

    #[test]
    fn a_chain_for_another_name_or_key_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let name: CertificateName = "a.example.org".parse().unwrap();
        let shelf = Shelf::open(dir.path().to_owned());
        let good = issue(&shelf, &name, "a.example.org").unwrap();
        assert!(issue(&shelf, &name, "b.example.org").is_err());
        let (generation, _) = shelf.new_key(&name).unwrap();
        let other = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let chain = CertificateParams::new(vec!["a.example.org".to_owned()]).unwrap().self_signed(&other).unwrap().pem();
        assert!(shelf.keep(&name, "https://ca/", generation, &chain).is_err());
        assert!(shelf.keep(&name, "https://ca/", generation, "nonsense").is_err());
        assert_eq!(shelf.record(&name).issued, Some(good));
    }

    #[test]
    fn a_torn_record_is_no_reason_not_to_start() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a.example.org")).unwrap();
        std::fs::write(dir.path().join("a.example.org/record.json"), "{").unwrap();
        assert_eq!(Shelf::open(dir.path().to_owned()).record(&"a.example.org".parse().unwrap()).generation, 0);
    }
}
