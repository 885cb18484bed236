//! To come.

pub mod activation;
pub mod fdstore;
pub mod notify;
