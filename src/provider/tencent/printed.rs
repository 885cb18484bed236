//! The shapes that Tencent's own tools print: an answer of STS, and the body of the metadata
//! service.

use std::time::SystemTime;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::answer::Minted;
use super::instance_metadata::Body;
use crate::clock::BootTime;
use crate::credentials::{Keys, Obtained};
use crate::provider::service::answer::{self, Holds, parse};

/// What tells the shapes apart.
#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "Response")]
    response: Option<IgnoredAny>,
    #[serde(rename = "TmpSecretId")]
    tmp_secret_id: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct StsAnswer {
    #[serde(rename = "Response")]
    response: Minted,
}

impl Holds for StsAnswer {
    fn keys(self) -> Result<(Keys, Option<SystemTime>), String> {
        self.response.keys()
    }
}

/// The set in it; `None` if it has neither shape.
pub(in crate::provider) fn printed(
    bytes: &[u8],
    sent_at: BootTime,
) -> Option<Result<Obtained, String>> {
    let shape: Shape = parse(bytes).ok()?;
    if shape.response.is_some() {
        return Some(answer::printed::<StsAnswer>(bytes, sent_at));
    }
    shape.tmp_secret_id?;
    Some(answer::printed::<Body>(bytes, sent_at))
}
