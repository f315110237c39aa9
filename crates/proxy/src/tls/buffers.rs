//! The worker's own two buffers for TLS: what arrives is decrypted in one, what is sent is encrypted into the other.
//!
//! A connection borrows them for the length of one poll. They stay in the processor's cache, whichever connection is at work, and an idle
//! connection has none.

use std::cell::{RefCell, RefMut};

/// A record's content at most (RFC 8446 §5.1), and what may be around it (§5.2).
pub(super) const CONTENT: usize = 16 * 1024;
const AROUND: usize = 256 + 5;
/// A whole record.
pub(super) const RECORD: usize = CONTENT + AROUND;
/// Read at once. More fits into it: the begun message of a handshake, which may have 64 KiB.
pub(super) const READ: usize = 4 * RECORD;
/// What has arrived of a message or record that is not whole, at most.
pub(super) const PARTIAL: usize = 64 * 1024 + 4 * RECORD;
/// Records that are sent at once.
const BATCH: usize = 4;
/// What may go ahead of the records: the end of a handshake, the answer to a new key.
pub(super) const AHEAD: usize = 4 * 1024;

/// Lent to the connections of one worker.
pub(super) struct Buffers {
    input: RefCell<Box<[u8]>>,
    output: RefCell<Output>,
}

/// Where records are made.
pub(super) struct Output {
    /// Encrypted, to be sent.
    pub(super) sealed: Box<[u8]>,
    /// Small pieces on their way into one record.
    pub(super) gathered: Vec<u8>,
}

impl Buffers {
    /// For one worker.
    pub(super) fn new() -> Self {
        let output = Output { sealed: zeroes(AHEAD + BATCH * RECORD), gathered: Vec::with_capacity(CONTENT) };
        Self { input: RefCell::new(zeroes(PARTIAL + READ)), output: RefCell::new(output) }
    }

    pub(super) fn input(&self) -> RefMut<'_, Box<[u8]>> {
        self.input.borrow_mut()
    }

    pub(super) fn output(&self) -> RefMut<'_, Output> {
        self.output.borrow_mut()
    }
}

fn zeroes(length: usize) -> Box<[u8]> {
    vec![0; length].into_boxed_slice()
}
