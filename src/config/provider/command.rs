//! Any program that prints credentials.

use super::{Surroundings, huawei, tencent};
use crate::config::model::{Command, Provider};
use crate::config::reader::Table;
use crate::config::values;
use crate::credentials::Cloud;

/// `command`; `region`, `endpoint`, the upstream keys and what else a cloud has to say of its STS
/// are for asking whose the credentials are.
pub(super) fn command(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
) -> Option<(Cloud, Provider)> {
    let command = table.required(
        "command",
        "the program and its arguments: [\"/usr/local/bin/credentials\", \"app\"]",
        values::program,
    );
    let cloud = table.required(
        "cloud",
        "whose credentials the program prints: \"tencent\" or \"huawei\"",
        |value| value.parsed(values::cloud),
    );
    let sts = match cloud {
        Some(Cloud::Huawei) => huawei::sts(table, surroundings, "endpoint"),
        Some(Cloud::Tencent) | None => tencent::sts(table, surroundings, None, "endpoint"),
    };
    let (command, cloud) = (command?, cloud?);
    Some((
        cloud,
        Provider::Command(Command {
            command,
            cloud,
            sts,
        }),
    ))
}
