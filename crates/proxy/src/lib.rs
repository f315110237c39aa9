//! Carries requests.
