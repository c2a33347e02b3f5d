//! Tests of the logs.
