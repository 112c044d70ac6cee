//! Failures that random runs found, each by its name.
