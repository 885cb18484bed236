//! How many calls the clouds get from us.

use std::collections::BTreeMap;

use crate::credentials::Cloud;

/// Calls per second and endpoint, already divided by the fleet size.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    pub tencent: CloudLimits,
    pub huawei: CloudLimits,
}

impl Limits {
    /// The budgets of one cloud.
    #[must_use]
    pub fn of(&self, cloud: Cloud) -> &CloudLimits {
        match cloud {
            Cloud::Huawei => &self.huawei,
            Cloud::Tencent => &self.tencent,
        }
    }
}

/// Budgets of one cloud.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudLimits {
    pub default: f64,
    /// By action, in kebab-case. What is not listed has the default.
    pub actions: BTreeMap<String, f64>,
}

impl CloudLimits {
    /// The budget of one action, in calls per second.
    #[must_use]
    pub fn per_second(&self, action: &str) -> f64 {
        self.actions.get(action).copied().unwrap_or(self.default)
    }
}
