//! Cuts what is to be sent into the contents of records.
//!
//! An answer of a few small pieces (head, body, an end) becomes one record. A large piece is encrypted from where it lies: what stands before it
//! gets a record of its own, because that costs less than copying the large one.

use super::buffers::CONTENT;
use std::io::IoSlice;

/// Pieces from here on are not copied.
const LARGE: usize = 8 * 1024;

/// The contents of records, one after another.
pub(super) struct Gather<'a, 'b> {
    parts: &'a [IoSlice<'b>],
    /// Of the first part.
    taken: usize,
    pub(super) total: usize,
}

impl<'a, 'b> Gather<'a, 'b> {
    pub(super) fn new(parts: &'a [IoSlice<'b>]) -> Self {
        Self { parts, taken: 0, total: 0 }
    }

    /// The next record's content, in `space` if it is made of several pieces.
    pub(super) fn next<'c>(&mut self, space: &'c mut Vec<u8>) -> Option<&'c [u8]>
    where
        'a: 'c,
    {
        let first = self.piece()?;
        let alone = first.len() >= LARGE || self.parts.len() == 1;
        if alone {
            let content = &first[..first.len().min(CONTENT)];
            self.take(content.len());
            return Some(content);
        }
        space.clear();
        while let Some(piece) = self.piece() {
            let room = CONTENT - space.len();
            if piece.len() >= LARGE || room == 0 {
                break;
            }
            let piece = &piece[..piece.len().min(room)];
            space.extend_from_slice(piece);
            self.take(piece.len());
        }
        Some(space)
    }

    /// What is left of the first part that is not empty.
    fn piece(&mut self) -> Option<&'a [u8]> {
        loop {
            let (first, others) = self.parts.split_first()?;
            let rest = first.get(self.taken..).unwrap_or_default();
            if !rest.is_empty() {
                return Some(rest);
            }
            self.parts = others;
            self.taken = 0;
        }
    }

    fn take(&mut self, count: usize) {
        self.taken += count;
        self.total += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records(parts: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let (mut gather, mut space, mut records) = (Gather::new(&slices), Vec::new(), Vec::new());
        while let Some(content) = gather.next(&mut space) {
            records.push(content.to_vec());
        }
        assert_eq!(gather.total, records.iter().map(Vec::len).sum::<usize>());
        records
    }

    #[test]
    fn small_pieces_become_one_record_and_large_ones_are_cut() {
        let of = |lengths: &[usize]| records(&lengths.iter().map(|length| vec![b'x'; *length]).collect::<Vec<_>>());
        let lengths = |records: Vec<Vec<u8>>| records.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(of(&[200, 0, 1000, 2])), [1202]);
        assert_eq!(lengths(of(&[200, 40_000])), [200, CONTENT, CONTENT, 40_000 - 2 * CONTENT]);
        assert_eq!(lengths(of(&[6000, 6000, 6000])), [CONTENT, 18_000 - CONTENT]);
        assert!(of(&[]).is_empty() && of(&[0, 0]).is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_moved(lengths in prop::collection::vec(0usize..40_000, 0..8)) {
            let parts: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(i, length)| (0..*length).map(|j| (i * 7 + j) as u8).collect()).collect();
            let records = records(&parts);
            prop_assert!(records.iter().all(|record| (1..=CONTENT).contains(&record.len())));
            prop_assert_eq!(records.concat(), parts.concat());
        }
    }
}
