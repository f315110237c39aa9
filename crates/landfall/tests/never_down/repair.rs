//! What happens to a proxy that stops, dies or cannot start, and to those who ask meanwhile.
