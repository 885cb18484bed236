//! Huawei Cloud: STS v5, IAM v3.0 and ECS instance metadata.

pub mod signing;
