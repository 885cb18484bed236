//! Tencent Cloud: STS 2018-08-13 and CVM instance metadata.

pub mod signing;
