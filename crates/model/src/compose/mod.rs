//! Compose text → Spec (being written).
