//! Moving to another base.
