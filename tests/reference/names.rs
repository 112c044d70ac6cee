//! Names: what the model's random walk meets too rarely.
