//! Bytes that wait to be taken. While none do, nothing is allocated.

/// First in, first out.
#[derive(Default)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    taken: usize,
}

impl Queue {
    /// What waits.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    #[cfg(any(fuzzing, test))]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Adds what `write` puts into `length` bytes; it says how many it used.
    pub(super) fn push_with<E>(&mut self, length: usize, write: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<(), E> {
        let before = self.bytes.len();
        self.bytes.resize(before + length, 0);
        let written = write(&mut self.bytes[before..]);
        self.bytes.truncate(before + written.as_ref().map_or(0, |written| (*written).min(length)));
        written.map(drop)
    }

    /// `count` bytes are taken.
    pub(super) fn advance(&mut self, count: usize) {
        self.taken += count;
        if self.taken >= self.bytes.len() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_queue_owns_nothing() {
        let mut queue = Queue::default();
        queue.push(b"abc");
        queue.advance(1);
        queue.push(b"d");
        queue
            .push_with(4, |space| {
                space[..1].copy_from_slice(b"e");
                Ok::<_, ()>(1)
            })
            .unwrap();
        assert_eq!(queue.push_with(4, |_| Err::<usize, _>("full")), Err("full"));
        assert_eq!(queue.rest(), b"bcde");
        queue.advance(4);
        assert!(queue.is_empty() && queue.rest().is_empty() && queue.bytes.capacity() == 0);
    }
}
