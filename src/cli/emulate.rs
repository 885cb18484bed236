//! `emulator`: the stand-in for the cloud's STS, and what somebody needs to call it.

use std::io;
use std::net::SocketAddr;

use super::exit::{Exit, Failure};
use super::output;
use crate::daemon::signals::{Request as Asked, Signals, ignores_hang_up};
use crate::emulator::{self, Running};

/// Serves until it is told to stop, or its terminal is closed. The signals are taken, since the
/// first process of a container has no other way to end by them.
pub(super) async fn emulate(listen: SocketAddr) -> Result<Exit, Failure> {
    let failed = |error: io::Error| {
        let exit = if error.kind() == io::ErrorKind::InvalidInput {
            Exit::Usage
        } else {
            Exit::Unavailable
        };
        Failure::new(exit, error.to_string())
    };
    let outlives_terminal = ignores_hang_up();
    let mut signals = Signals::take().map_err(failed)?;
    let running = emulator::start_example(listen).map_err(failed)?;
    // Nobody reading along is no reason to stop serving.
    if let Err(failure) = output::result(&announcement(&running)) {
        output::failure(&failure);
    }
    while signals.next().await == Asked::Reload && outlives_terminal {}
    Ok(Exit::Fine)
}

/// The endpoint, the key (made up at each start, good for nothing elsewhere) and the roles, as
/// `name = "value"` so that they can be pasted into a configuration.
fn announcement(running: &Running) -> String {
    running.state.with_world(|world| {
        let mut text = format!("endpoint = \"{}\"\n", running.endpoint());
        if let Some(key) = world.first_key() {
            output::append(
                &mut text,
                format_args!(
                    "# TENCENTCLOUD_SECRET_ID={}\n# TENCENTCLOUD_SECRET_KEY={}\n",
                    key.id,
                    key.secret.expose()
                ),
            );
        }
        for role in world.roles() {
            output::append(&mut text, format_args!("role-arn = \"{}\"\n", role.arn()));
        }
        running.state.with_huawei(|world| {
            if let Some(key) = world.first_key() {
                output::append(
                    &mut text,
                    format_args!(
                        "# HUAWEICLOUD_SDK_AK={}\n# HUAWEICLOUD_SDK_SK={}\n",
                        key.id,
                        key.secret.expose()
                    ),
                );
            }
            for role in world.roles() {
                let urn = format_args!("agency-urn = \"{}\"\n", role.urn());
                output::append(&mut text, urn);
            }
        });
        output::append(
            &mut text,
            format_args!(
                "# its calls so far: curl {}/_emulator/calls\n",
                running.endpoint()
            ),
        );
        text
    })
}
