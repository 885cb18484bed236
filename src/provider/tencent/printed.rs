//! The shapes that Tencent's own tools print: an answer of STS, and the body of the metadata
//! service.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::answer::Minted;
use super::instance_metadata::Metadata;
use crate::clock::BootTime;
use crate::credentials::Obtained;
use crate::provider::service::answer::parse;

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

/// The set in it; `None` if it has neither shape. Whoever printed it runs on this host, so our
/// clock is its clock.
pub(in crate::provider) fn printed(
    bytes: &[u8],
    sent_at: BootTime,
) -> Option<Result<Obtained, String>> {
    let shape: Shape = parse(bytes).ok()?;
    if shape.response.is_some() {
        let answer = parse::<StsAnswer>(bytes);
        return Some(answer.and_then(|answer| answer.response.into_obtained(None, sent_at)));
    }
    shape.tmp_secret_id?;
    let metadata = parse::<Metadata>(bytes);
    Some(metadata.and_then(|metadata| metadata.into_obtained(None, sent_at)))
}
