//! One long-lived Rust client: `client`. For each line on standard input the SDK's STS client makes
//! a signed call to `INTEROP_ENDPOINT`, with credentials from the default chain, and one line of
//! JSON says whether that went well.
//!
//! The SDK caches credentials in its service clients and nowhere else, and they show them to nobody:
//! whoever answers the call judges by its signature. Which provider of the chain is asked is up to
//! the environment.

use std::error::Error;
use std::io::{self, Write};

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_sdk_sts::Client;
use aws_sdk_sts::error::DisplayErrorContext;
use serde_json::{Value, json};

/// The client as a program makes it, but for a transport without TLS, and without retries, so that
/// no failure is hidden. The providers keep their own.
async fn client(endpoint: &str) -> Client {
    let transport = aws_smithy_http_client::Builder::new().build_http();
    let shared = aws_config::defaults(BehaviorVersion::latest())
        .http_client(transport)
        .load()
        .await;
    let config = aws_sdk_sts::config::Builder::from(&shared)
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

async fn call(client: &Client) -> Value {
    match client.get_caller_identity().send().await {
        Ok(_) => json!({ "signed": true }),
        Err(error) => json!({ "error": DisplayErrorContext(&error).to_string() }),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let endpoint = std::env::var("INTEROP_ENDPOINT")?;
    // A worker of its own: connections are looked after while this thread waits for a line.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let client = runtime.block_on(client(&endpoint));
    let mut answers = io::stdout().lock();
    for line in io::stdin().lines() {
        line?;
        let answer = runtime.block_on(call(&client));
        writeln!(answers, "{answer}")?;
    }
    Ok(())
}
