//! Spellings of a path that some server or other takes for the path itself, drawn by lot. The tests of the table and the attacks on real servers
//! (`tests/attack`) share them.

/// xorshift64: a failure is found again by its number.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Spells a path in another way.
    pub(crate) fn spell(&mut self, path: &mut String) {
        let slashes: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
        let letters: Vec<usize> = path.char_indices().filter(|(_, c)| c.is_ascii_alphabetic()).map(|(at, _)| at).collect();
        let (slash, letter) = (self.pick(&slashes), if letters.is_empty() { None } else { Some(self.pick(&letters)) });
        let hex = |byte: u8| if byte.is_multiple_of(2) { format!("%{byte:02x}") } else { format!("%{byte:02X}") };
        match self.below(11) {
            0 => path.insert(slash, '/'),
            1 => path.insert_str(slash, "/;x=1"),
            2 if slash > 0 => path.insert_str(slash, ";jsessionid=1"),
            3 => path.push_str(";x"),
            4 => path.push('/'),
            5 => path.push_str(self.pick(&[".json", ".html", ".xml"])),
            6 if slash > 0 => path.replace_range(slash..=slash, self.pick(&["%2F", "%2f"])),
            7 => path.insert_str(slash, "//"),
            _ => {
                if let Some(at) = letter {
                    let byte = path.as_bytes()[at];
                    let other = if self.below(2) == 0 { char::from(byte).to_ascii_uppercase().to_string() } else { hex(byte) };
                    path.replace_range(at..=at, &other);
                }
            }
        }
    }
}
