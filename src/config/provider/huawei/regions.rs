//! Regions with an STS of their own, and where to go if one is not to be reached.

/// Source: the region table of the official SDKs' STS package.
const REGIONS: [&str; 12] = [
    "af-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "cn-east-3",
    "cn-north-4",
    "cn-south-1",
    "cn-southwest-2",
    "la-south-2",
    "sa-brazil-1",
    "tr-west-1",
];

/// The region that stands in for another; `None` for one we do not know. Both are in mainland
/// China or both outside, since that is a border for networks and laws.
pub(super) fn second(region: &str) -> Option<&'static str> {
    let known = REGIONS.into_iter().find(|known| *known == region)?;
    Some(match known {
        "cn-north-4" => "cn-east-3",
        "ap-southeast-3" => "ap-southeast-1",
        _ if known.starts_with("cn-") => "cn-north-4",
        _ => "ap-southeast-3",
    })
}

#[cfg(test)]
mod tests {
    use super::{REGIONS, second};

    #[test]
    fn every_region_has_another_on_its_side_of_the_border() {
        for region in REGIONS {
            let second = second(region).unwrap();
            assert_ne!(second, region);
            assert!(REGIONS.contains(&second));
            assert_eq!(second.starts_with("cn-"), region.starts_with("cn-"));
        }
        assert_eq!(second("eu-west-101"), None);
    }
}
